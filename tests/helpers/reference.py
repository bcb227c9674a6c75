"""The defining sums in NumPy float64, written as in the lectures: the tests' oracle."""

import numpy as np

# --- Convolution -----------------------------------------------------------------------------


def conv2d(x, kernel, strides=(1, 1), pads=((0, 0), (0, 0)), dilation=(1, 1), groups=1):
    """y(r, c) = Σ_a Σ_b x(r·s + a·d, c·s + b·d) k(a, b), on the padded x, group by group."""
    x = _pad(x, pads)
    height, width, channels, filters = kernel.shape
    per_group = filters // groups
    rows, columns = _positions(x.shape, kernel.shape, strides, dilation)
    y = np.zeros((x.shape[0], len(rows), len(columns), filters))
    for g in range(groups):
        xs = x[..., g * channels : (g + 1) * channels]
        ks = np.asarray(kernel, np.float64)[..., g * per_group : (g + 1) * per_group]
        for a in range(height):
            for b in range(width):
                window = xs[:, rows + a * dilation[0]][:, :, columns + b * dilation[1]]
                y[..., g * per_group : (g + 1) * per_group] += window @ ks[a, b]
    return y


def conv2d_input_grad(
    grad, kernel, input_shape, strides=(1, 1), pads=((0, 0), (0, 0)), dilation=(1, 1), groups=1
):
    """dL/dx: every product x(r·s + a·d, ·) k(a, ·) of the sum adds g(r, ·) k(a, ·) to it."""
    padded = _pad(np.zeros(input_shape), pads)
    height, width, channels, filters = kernel.shape
    per_group = filters // groups
    rows, columns = _positions(padded.shape, kernel.shape, strides, dilation)
    for g in range(groups):
        ks = np.asarray(kernel, np.float64)[..., g * per_group : (g + 1) * per_group]
        gs = np.asarray(grad, np.float64)[..., g * per_group : (g + 1) * per_group]
        for a in range(height):
            for b in range(width):
                for i, r in enumerate(rows + a * dilation[0]):
                    padded[:, r, columns + b * dilation[1], g * channels : (g + 1) * channels] += (
                        gs[:, i] @ ks[a, b].T
                    )
    (top, _), (left, _) = pads
    return padded[:, top : top + input_shape[1], left : left + input_shape[2]]


def conv2d_kernel_grad(
    x, grad, kernel_shape, strides=(1, 1), pads=((0, 0), (0, 0)), dilation=(1, 1), groups=1
):
    """dL/dk(a, b) = Σ_r Σ_c x(r·s + a·d, c·s + b·d) g(r, c), summed over the batch."""
    x, grad = _pad(x, pads), np.asarray(grad, np.float64)
    height, width, channels, filters = kernel_shape
    per_group = filters // groups
    rows, columns = _positions(x.shape, kernel_shape, strides, dilation)
    dk = np.zeros(kernel_shape)
    for g in range(groups):
        xs = x[..., g * channels : (g + 1) * channels]
        gs = grad[..., g * per_group : (g + 1) * per_group].reshape(-1, per_group)
        for a in range(height):
            for b in range(width):
                window = xs[:, rows + a * dilation[0]][:, :, columns + b * dilation[1]]
                dk[a, b, :, g * per_group : (g + 1) * per_group] = (
                    window.reshape(-1, channels).T @ gs
                )
    return dk


def _pad(x, pads):
    return np.pad(np.asarray(x, np.float64), ((0, 0), *pads, (0, 0)))


def _positions(padded_shape, kernel_shape, strides, dilation):
    """Returns the first row and column of every window that fits."""
    return tuple(
        np.arange(0, n - (k - 1) * d, s)
        for n, k, s, d in zip(padded_shape[1:3], kernel_shape[:2], strides, dilation, strict=True)
    )
