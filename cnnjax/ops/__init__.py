"""Pure functions on arrays: the primitives of convolutional networks, with hand-derived rules.

Images are NHWC, kernels are HWIO. This file only re-exports names; each subject has its file.

A wrong argument raises a TypeError or a ValueError before anything is built. The message starts
with the op's name and names the argument, what was given and what is expected; the kinds of
arguments are in `arguments/table.py`. Sizes, strides, dilations and paddings above 2**31 - 1, and
arrays above 2**40 elements, are refused, since XLA would end the process.
"""

from cnnjax.compiler import compiler_options
from cnnjax.ops import filters
from cnnjax.ops.activations import leaky_relu, relu, relu6, scaled_tanh, sigmoid
from cnnjax.ops.bias import add_bias
from cnnjax.ops.conv.algorithms.im2col import col2im, im2col
from cnnjax.ops.conv.batch_axis import batch_over
from cnnjax.ops.conv.conv2d import conv2d, convolve2d
from cnnjax.ops.conv.fft import fft_conv2d
from cnnjax.ops.conv.grads import conv2d_input_grad, conv2d_kernel_grad
from cnnjax.ops.conv.in_lax import use_in_lax
from cnnjax.ops.conv.lax_bridge import conv_general_dilated, lax_conv_general_dilated
from cnnjax.ops.conv.local import local_conv2d
from cnnjax.ops.conv.onednn import jit
from cnnjax.ops.conv.separable import Separation, separable_conv2d, separate_kernel
from cnnjax.ops.conv.transpose import conv2d_transpose
from cnnjax.ops.dense import dense
from cnnjax.ops.norm.batch import batch_norm, batch_norm_inference
from cnnjax.ops.norm.local_contrast import local_contrast_norm
from cnnjax.ops.norm.local_response import local_response_norm
from cnnjax.ops.padding import pad_images
from cnnjax.ops.pool.argmax import max_pool_with_argmax, max_unpool
from cnnjax.ops.pool.pooling import avg_pool, global_avg_pool, global_max_pool, max_pool, sum_pool
from cnnjax.ops.pool.upsample import upsample_bilinear, upsample_nearest
from cnnjax.ops.reverse_gradient import reverse_gradient
from cnnjax.ops.sizes import output_size

__all__ = [
    "Separation",
    "add_bias",
    "avg_pool",
    "batch_norm",
    "batch_norm_inference",
    "batch_over",
    "col2im",
    "compiler_options",
    "conv2d",
    "conv2d_input_grad",
    "conv2d_kernel_grad",
    "conv2d_transpose",
    "conv_general_dilated",
    "convolve2d",
    "dense",
    "fft_conv2d",
    "filters",
    "global_avg_pool",
    "global_max_pool",
    "im2col",
    "jit",
    "lax_conv_general_dilated",
    "leaky_relu",
    "local_contrast_norm",
    "local_conv2d",
    "local_response_norm",
    "max_pool",
    "max_pool_with_argmax",
    "max_unpool",
    "output_size",
    "pad_images",
    "relu",
    "relu6",
    "reverse_gradient",
    "scaled_tanh",
    "separable_conv2d",
    "separate_kernel",
    "sigmoid",
    "sum_pool",
    "upsample_bilinear",
    "upsample_nearest",
    "use_in_lax",
]
