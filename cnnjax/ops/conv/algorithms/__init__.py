"""Formulations of convolution: one file each, with the passes that it can compute.

A formulation is a module with any of `forward(spec, x, kernel)`,
`input_grad(spec, input_size, grad, kernel)` and `kernel_grad(spec, kernel_size, x, grad)`, and
`refuses(spec, input_shape, kernel_shape)`, which returns why it cannot compute a convolution, or
"" if it can.
"""
