"""The defining sums of pooling and normalization in NumPy float64: the tests' oracle."""

import numpy as np


def windows(size, window, strides, pads, dilation, output):
    """Yields, per output pixel, its index and the image pixels it reads, row by row, or None."""
    for r in range(output[0]):
        for c in range(output[1]):
            places = []
            for i in range(window[0]):
                for j in range(window[1]):
                    y = r * strides[0] - pads[0][0] + i * dilation[0]
                    x = c * strides[1] - pads[1][0] + j * dilation[1]
                    inside = 0 <= y < size[0] and 0 <= x < size[1]
                    places.append((y, x) if inside else None)
            yield r, c, places


def ceil_output(size, window, stride, pad, dilation):
    """Returns PyTorch's output size in ceil mode, as in its documentation, with P on both sides."""
    output = int(np.ceil((size + 2 * pad - dilation * (window - 1) - 1) / stride)) + 1
    return output - 1 if (output - 1) * stride >= size + pad else output


def pool(x, grad, kind, window, strides, pads, dilation, output):
    """Returns (y, dL/dx) of max or sum pooling; lax's order decides among equal maxima."""
    x, grad = np.asarray(x, np.float64), np.asarray(grad, np.float64)
    y = np.zeros((x.shape[0], *output, x.shape[3]))
    dx = np.zeros(x.shape)
    for r, c, places in windows(x.shape[1:3], window, strides, pads, dilation, output):
        for n in range(x.shape[0]):
            for d in range(x.shape[3]):
                values = [-np.inf if p is None else x[n, *p, d] for p in places]
                if kind == "max":
                    y[n, r, c, d] = np.max(values)
                    chosen = 0
                    for k, value in enumerate(values):
                        if not values[chosen] >= value:
                            chosen = k
                    receivers = [places[chosen]]
                else:
                    y[n, r, c, d] = sum(v for v, p in zip(values, places, strict=True) if p)
                    receivers = places
                for p in receivers:
                    if p is not None:
                        dx[n, *p, d] += grad[n, r, c, d]
    return y, dx


def counts(size, window, strides, pads, dilation, output, include_pad, limit):
    """Returns how many elements an average counts; `limit` is where the counted padding ends."""
    number = np.zeros(output)
    for r in range(output[0]):
        for c in range(output[1]):
            for i in range(window[0]):
                for j in range(window[1]):
                    y = r * strides[0] - pads[0][0] + i * dilation[0]
                    x = c * strides[1] - pads[1][0] + j * dilation[1]
                    if include_pad:
                        number[r, c] += y < limit[0] and x < limit[1]
                    else:
                        number[r, c] += 0 <= y < size[0] and 0 <= x < size[1]
    return number


def local_response_norm(x, size, alpha, beta, k):
    """Returns what AlexNet's section 3.3 defines, channel by channel."""
    x = np.asarray(x, np.float64)
    channels = x.shape[-1]
    y = np.zeros_like(x)
    for i in range(channels):
        low, high = max(0, i - size // 2), min(channels - 1, i + (size - 1) // 2)
        energy = sum(x[..., j] ** 2 for j in range(low, high + 1))
        y[..., i] = x[..., i] / (k + alpha * energy) ** beta
    return y


def local_contrast_norm(x, window, epsilon):
    """Pixel by pixel: the neighborhood's mean and root mean square over all channels."""

    def local_mean(values):
        means = np.zeros((*values.shape[:3], 1))
        up, left = window[0] // 2, window[1] // 2
        for r in range(values.shape[1]):
            for c in range(values.shape[2]):
                patch = values[:, max(r - up, 0) : r + up + 1, max(c - left, 0) : c + left + 1]
                means[:, r, c, 0] = patch.mean(axis=(1, 2, 3))
        return means

    centered = np.asarray(x, np.float64) - local_mean(np.asarray(x, np.float64))
    return centered / np.maximum(epsilon, np.sqrt(local_mean(centered**2)))
