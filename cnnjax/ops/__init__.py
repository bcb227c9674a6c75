"""Pure functions on arrays: the primitives of convolutional networks, with hand-derived rules.

Images are NHWC, kernels are HWIO. Only names are handed on here; each subject has its file.
"""

from cnnjax.ops.activations import leaky_relu, relu, scaled_tanh, sigmoid
from cnnjax.ops.conv import conv2d, convolve2d
from cnnjax.ops.conv_grads import conv2d_input_grad, conv2d_kernel_grad
from cnnjax.ops.conv_transpose import conv2d_transpose
from cnnjax.ops.padding import pad_images
from cnnjax.ops.pool import avg_pool, max_pool, sum_pool
from cnnjax.ops.sizes import output_size

__all__ = [
    "avg_pool",
    "conv2d",
    "conv2d_input_grad",
    "conv2d_kernel_grad",
    "conv2d_transpose",
    "convolve2d",
    "leaky_relu",
    "max_pool",
    "output_size",
    "pad_images",
    "relu",
    "scaled_tanh",
    "sigmoid",
    "sum_pool",
]
