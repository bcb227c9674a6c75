"""Pictures of convolution, padding, pooling and receptive fields, from numbers that ops compute."""
