"""DenseNet, MobileNet-v2 and SqueezeNet of torchvision in NumPy; see `torch_forward`."""

import numpy as np

from tests.models.torch_forward import Network, avg_pool, max_pool, relu


def densenet(state, x):
    net = Network(state)
    x = relu(net.norm("features.norm0", net.conv("features.conv0", x, 2, 3)))
    x = max_pool(x, 3, 2, 1)
    block = 1
    while net.has(f"features.denseblock{block}"):
        if block > 1:
            name = f"features.transition{block - 1}"
            x = net.conv(f"{name}.conv", relu(net.norm(f"{name}.norm", x)))
            # PyTorch leaves out a last, incomplete window.
            x = avg_pool(x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2], 2, 2)
        layer = 1
        while net.has(name := f"features.denseblock{block}.denselayer{layer}"):
            y = net.conv(f"{name}.conv1", relu(net.norm(f"{name}.norm1", x)))
            y = net.conv(f"{name}.conv2", relu(net.norm(f"{name}.norm2", y)), 1, 1)
            x, layer = np.concatenate([x, y], axis=1), layer + 1
        block += 1
    return net.linear("classifier", relu(net.norm("features.norm5", x)).mean((2, 3)))


def mobilenet_v2(state, x, strides):
    """`strides` of the blocks; their other sizes are those of the arrays."""
    net = Network(state)

    def unit(name, x, *arguments):
        return np.clip(net.norm(f"{name}.1", net.conv(f"{name}.0", x, *arguments)), 0, 6)

    x = unit("features.0", x, 2, 1)
    for number, stride in enumerate(strides, start=1):
        name, y, place = f"features.{number}.conv", x, 0
        if net.has(f"{name}.1.0"):
            y, place = unit(f"{name}.0", y), 1
        channels = y.shape[1]
        y = unit(f"{name}.{place}", y, stride, 1, channels)
        y = net.norm(f"{name}.{place + 2}", net.conv(f"{name}.{place + 1}", y))
        x = x + y if stride == 1 and x.shape[1] == y.shape[1] else y
    x = unit(f"features.{len(strides) + 1}", x)
    return net.linear("classifier.1", x.mean((2, 3)))


def squeezenet(state, x):
    """Sequence "features": a pool wherever the numbering leaves a place for one."""
    net = Network(state)
    x = relu(net.conv("features.0", x, 2))
    for number in range(2, 13):
        name = f"features.{number}"
        if not net.has(name):
            x = max_pool(x, 3, 2, ceil=True)
            continue
        x = relu(net.conv(f"{name}.squeeze", x))
        parts = (net.conv(f"{name}.expand1x1", x), net.conv(f"{name}.expand3x3", x, 1, 1))
        x = relu(np.concatenate(parts, axis=1))
    return relu(net.conv("classifier.1", x)).mean((2, 3))
