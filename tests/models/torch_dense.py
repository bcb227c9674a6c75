"""torchvision's fcn_resnet50 in NumPy; see `torch_forward`."""

import numpy as np

from tests.models.torch_forward import Network, max_pool, relu


def dilated(net, name, x, step):
    """A 3x3 convolution of stride 1 whose taps are `step` apart, as the sum of its nine taps."""
    weight, (rows, columns) = net.state[f"{name}.weight"], x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (step, step), (step, step)))
    return sum(
        np.einsum(
            "oi,nihw->nohw",
            weight[:, :, a, b],
            padded[:, :, a * step :, b * step :][:, :, :rows, :columns],
        )
        for a in range(3)
        for b in range(3)
    )


def bilinear(x, size):
    """Interpolation between pixel centers, axis after axis; constant beyond the outermost ones."""
    for axis, length in zip((2, 3), size, strict=True):
        old = x.shape[axis]
        place = np.clip((np.arange(length) + 0.5) * old / length - 0.5, 0, old - 1)
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, old - 1)
        share = (place - low).reshape(-1, *[1] * (3 - axis))
        x = (1 - share) * x.take(low, axis) + share * x.take(high, axis)
    return x


def fcn_resnet(state, images):
    """Returns the logits and the auxiliary head's, at the images' size."""
    net, maps, dilation = Network(state), [], 1
    x = net.norm("backbone.bn1", net.conv("backbone.conv1", images, 2, 3))
    x = max_pool(relu(x), 3, 2, 1)
    for stage in (1, 2, 3, 4):
        before = dilation
        # The strides of the last two stages are replaced.
        stride, dilation = (2 if stage == 2 else 1), dilation * (2 if stage > 2 else 1)
        block = 0
        while net.has(name := f"backbone.layer{stage}.{block}"):
            around = x
            if net.has(f"{name}.downsample"):
                around = net.conv(f"{name}.downsample.0", x, stride if block == 0 else 1)
                around = net.norm(f"{name}.downsample.1", around)
            x = relu(net.norm(f"{name}.bn1", net.conv(f"{name}.conv1", x)))
            if stride == 2 and block == 0:
                x = net.conv(f"{name}.conv2", x, 2, 1)
            else:
                x = dilated(net, f"{name}.conv2", x, before if block == 0 else dilation)
            x = relu(net.norm(f"{name}.bn2", x))
            x = relu(net.norm(f"{name}.bn3", net.conv(f"{name}.conv3", x)) + around)
            block += 1
        maps.append(x)

    def head(name, x):
        x = relu(net.norm(f"{name}.1", net.conv(f"{name}.0", x, 1, 1)))
        return bilinear(net.conv(f"{name}.4", x), images.shape[2:])

    return head("classifier", maps[3]), head("aux_classifier", maps[2])
