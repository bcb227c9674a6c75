"""PyTorch's networks in NumPy float64, straight from their state dicts: NCHW images, OIHW kernels.

Written after the definitions of torchvision's and timm's networks, by the names of their state
dicts, and independent of the package: the oracle for weights in their layout.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class Network:
    """A state dict in use; layers are called by their names."""

    def __init__(self, state, epsilon=1e-5):
        self.state = {name: np.asarray(array, np.float64) for name, array in state.items()}
        self.epsilon = epsilon

    def has(self, name):
        return any(key.startswith(f"{name}.") for key in self.state)

    def conv(self, name, x, stride=1, padding: int | tuple[int, int] = 0, groups=1):
        """y(o, r, c) = Σ_i Σ_a Σ_b x(i, r·s + a, c·s + b) w(o, i, a, b) + bias(o)."""
        weight = self.state[f"{name}.weight"]
        (top, left) = padding if isinstance(padding, tuple) else (padding, padding)
        x = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
        parts = []
        for images, kernels in zip(
            np.split(x, groups, axis=1), np.split(weight, groups), strict=True
        ):
            windows = _windows(images, kernels.shape[2:], stride)
            parts.append(np.tensordot(windows, kernels, ((1, 4, 5), (1, 2, 3))))
        y = np.concatenate(parts, axis=-1).transpose(0, 3, 1, 2)
        bias = self.state.get(f"{name}.bias")
        return y if bias is None else y + bias[:, None, None]

    def norm(self, name, x):
        def array(leaf):
            return self.state[f"{name}.{leaf}"][:, None, None]

        scaled = (x - array("running_mean")) / np.sqrt(array("running_var") + self.epsilon)
        return scaled * array("weight") + array("bias")

    def linear(self, name, x):
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def unit(self, name, x, stride=1, padding: int | tuple[int, int] = 0):
        """torchvision's BasicConv2d."""
        return relu(self.norm(f"{name}.bn", self.conv(f"{name}.conv", x, stride, padding)))


def relu(x):
    return np.maximum(x, 0)


def max_pool(x, size, stride, padding=0, ceil=False):
    pads = [(padding, padding)] * 2
    if ceil:  # a last, incomplete window
        pads = [
            (padding, padding + (stride - (n + 2 * padding - size)) % stride) for n in x.shape[2:]
        ]
    padded = np.pad(x, ((0, 0), (0, 0), *pads), constant_values=-np.inf)
    return _windows(padded, (size, size), stride).max((4, 5))


def avg_pool(x, size, stride, padding=0):
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return _windows(padded, (size, size), stride).mean((4, 5))


def adaptive_pool(x, size):
    """Cell i is the mean of rows floor(i H / n) to ceil((i + 1) H / n)."""
    cells = [[(i * n // size, -(-(i + 1) * n // size)) for i in range(size)] for n in x.shape[2:]]
    return np.stack(
        [
            np.stack([x[:, :, a:b, c:d].mean((2, 3)) for c, d in cells[1]], axis=-1)
            for a, b in cells[0]
        ],
        axis=-2,
    )


def flatten(x):
    return x.reshape(len(x), -1)


def _windows(x, shape, stride):
    return sliding_window_view(x, shape, axis=(2, 3))[:, :, ::stride, ::stride]


def alexnet(state, x):
    net = Network(state)
    x = max_pool(relu(net.conv("features.0", x, 4, 2)), 3, 2)
    x = max_pool(relu(net.conv("features.3", x, 1, 2)), 3, 2)
    for name in ("features.6", "features.8", "features.10"):
        x = relu(net.conv(name, x, 1, 1))
    x = flatten(adaptive_pool(max_pool(x, 3, 2), 6))
    for name in ("classifier.1", "classifier.4"):
        x = relu(net.linear(name, x))
    return net.linear("classifier.6", x)


def vgg_maps(net, x):
    """Sequence "features": a pool wherever the numbering leaves a place for one."""
    numbers = sorted({int(key.split(".")[1]) for key in net.state if key.startswith("features.")})
    convs = [n for n in numbers if net.state[f"features.{n}.weight"].ndim == 4]
    for conv, following in zip(convs, [*convs[1:], None], strict=True):
        x, last = net.conv(f"features.{conv}", x, 1, 1), conv
        if conv + 1 in numbers:
            x, last = net.norm(f"features.{conv + 1}", x), conv + 1
        x = relu(x)
        if following is None or following - last == 3:
            x = max_pool(x, 2, 2)
    return x


def vgg(state, x):
    net = Network(state)
    x = flatten(adaptive_pool(vgg_maps(net, x), 7))
    for name in ("classifier.0", "classifier.3"):
        x = relu(net.linear(name, x))
    return net.linear("classifier.6", x)


def timm_vgg(state, x):
    net = Network(state)
    x = relu(net.conv("pre_logits.fc1", vgg_maps(net, x)))
    x = relu(net.conv("pre_logits.fc2", x))
    return net.linear("head.fc", x.mean((2, 3)))


def resnet(state, x, groups=1):
    net = Network(state)
    x = max_pool(relu(net.norm("bn1", net.conv("conv1", x, 2, 3))), 3, 2, 1)
    for stage in (1, 2, 3, 4):
        block = 0
        while net.has(name := f"layer{stage}.{block}"):
            stride = 2 if stage > 1 and block == 0 else 1
            around = x
            if net.has(f"{name}.downsample"):
                around = net.conv(f"{name}.downsample.0", x, stride)
                around = net.norm(f"{name}.downsample.1", around)
            if net.has(f"{name}.conv3"):
                x = relu(net.norm(f"{name}.bn1", net.conv(f"{name}.conv1", x)))
                x = net.conv(f"{name}.conv2", x, stride, 1, groups)
                x = relu(net.norm(f"{name}.bn2", x))
                x = net.norm(f"{name}.bn3", net.conv(f"{name}.conv3", x))
            else:
                x = relu(net.norm(f"{name}.bn1", net.conv(f"{name}.conv1", x, stride, 1)))
                x = net.norm(f"{name}.bn2", net.conv(f"{name}.conv2", x, 1, 1))
            x = relu(x + around)
            block += 1
    return net.linear("fc", x.mean((2, 3)))


def resnetv2(state, x):
    net = Network(state)
    x = max_pool(net.conv("stem.conv", x, 2, 3), 3, 2, 1)
    for stage in (0, 1, 2, 3):
        block = 0
        while net.has(name := f"stages.{stage}.blocks.{block}"):
            stride = 2 if stage > 0 and block == 0 else 1
            active = relu(net.norm(f"{name}.norm1", x))
            if net.has(f"{name}.downsample"):
                x = net.conv(f"{name}.downsample.conv", active, stride)
            y = net.conv(f"{name}.conv1", active)
            y = net.conv(f"{name}.conv2", relu(net.norm(f"{name}.norm2", y)), stride, 1)
            x = x + net.conv(f"{name}.conv3", relu(net.norm(f"{name}.norm3", y)))
            block += 1
    pooled = relu(net.norm("norm", x)).mean((2, 3), keepdims=True)
    return net.conv("head.fc", pooled)[:, :, 0, 0]


def googlenet(state, x):
    """Returns the logits and the two auxiliary heads'."""
    net = Network(state, epsilon=1e-3)

    def inception(name, x):
        return np.concatenate(
            [
                net.unit(f"{name}.branch1", x),
                net.unit(f"{name}.branch2.1", net.unit(f"{name}.branch2.0", x), padding=1),
                net.unit(f"{name}.branch3.1", net.unit(f"{name}.branch3.0", x), padding=1),
                net.unit(f"{name}.branch4.1", max_pool(x, 3, 1, 1)),
            ],
            axis=1,
        )

    def auxiliary(name, x):
        x = flatten(net.unit(f"{name}.conv", adaptive_pool(x, 4)))
        return net.linear(f"{name}.fc2", relu(net.linear(f"{name}.fc1", x)))

    x = max_pool(net.unit("conv1", x, 2, 3), 3, 2, ceil=True)
    x = net.unit("conv3", net.unit("conv2", x), padding=1)
    x = max_pool(x, 3, 2, ceil=True)
    x = inception("inception3b", inception("inception3a", x))
    x = inception("inception4a", max_pool(x, 3, 2, ceil=True))
    first = auxiliary("aux1", x)
    for name in "bcd":
        x = inception(f"inception4{name}", x)
    second = auxiliary("aux2", x)
    x = max_pool(inception("inception4e", x), 2, 2, ceil=True)
    x = inception("inception5b", inception("inception5a", x))
    return net.linear("fc", x.mean((2, 3))), first, second


def inception_v3(state, x):
    """Returns the logits."""
    net = Network(state, epsilon=1e-3)

    def chain(x, *steps):
        for name, *rest in steps:
            x = net.unit(name, x, *rest)
        return x

    def join(*branches):
        return np.concatenate(branches, axis=1)

    def pooled(m, x):
        return net.unit(f"{m}.branch_pool", avg_pool(x, 3, 1, 1))

    x = chain(x, ("Conv2d_1a_3x3", 2), ("Conv2d_2a_3x3",), ("Conv2d_2b_3x3", 1, 1))
    x = chain(max_pool(x, 3, 2), ("Conv2d_3b_1x1",), ("Conv2d_4a_3x3",))
    x = max_pool(x, 3, 2)
    for m in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        double = [(f"{m}.branch3x3dbl_{i}", 1, p) for i, p in ((1, 0), (2, 1), (3, 1))]
        x = join(
            net.unit(f"{m}.branch1x1", x),
            chain(x, (f"{m}.branch5x5_1",), (f"{m}.branch5x5_2", 1, 2)),
            chain(x, *double),
            pooled(m, x),
        )
    m = "Mixed_6a"
    x = join(
        net.unit(f"{m}.branch3x3", x, 2),
        chain(
            x, (f"{m}.branch3x3dbl_1",), (f"{m}.branch3x3dbl_2", 1, 1), (f"{m}.branch3x3dbl_3", 2)
        ),
        max_pool(x, 3, 2),
    )
    row, column = (0, 3), (3, 0)
    for m in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        double = enumerate((0, column, row, column, row), start=1)
        x = join(
            net.unit(f"{m}.branch1x1", x),
            chain(x, *((f"{m}.branch7x7_{i}", 1, p) for i, p in ((1, 0), (2, row), (3, column)))),
            chain(x, *((f"{m}.branch7x7dbl_{i}", 1, p) for i, p in double)),
            pooled(m, x),
        )
    m = "Mixed_7a"
    wide = ((1, 1, 0), (2, 1, row), (3, 1, column), (4, 2, 0))
    x = join(
        chain(x, (f"{m}.branch3x3_1",), (f"{m}.branch3x3_2", 2)),
        chain(x, *((f"{m}.branch7x7x3_{i}", s, p) for i, s, p in wide)),
        max_pool(x, 3, 2),
    )
    x = _inception_v3_last(net, "Mixed_7c", _inception_v3_last(net, "Mixed_7b", x))
    return net.linear("fc", x.mean((2, 3)))


def _inception_v3_last(net, m, x):
    """Returns the output of a module on the 8x8 grid."""
    y = net.unit(f"{m}.branch3x3_1", x)
    z = net.unit(f"{m}.branch3x3dbl_2", net.unit(f"{m}.branch3x3dbl_1", x), 1, 1)
    branches = (
        net.unit(f"{m}.branch1x1", x),
        net.unit(f"{m}.branch3x3_2a", y, 1, (0, 1)),
        net.unit(f"{m}.branch3x3_2b", y, 1, (1, 0)),
        net.unit(f"{m}.branch3x3dbl_3a", z, 1, (0, 1)),
        net.unit(f"{m}.branch3x3dbl_3b", z, 1, (1, 0)),
        net.unit(f"{m}.branch_pool", avg_pool(x, 3, 1, 1)),
    )
    return np.concatenate(branches, axis=1)
