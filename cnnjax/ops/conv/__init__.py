"""Convolution in two dimensions, its backward rules and the formulations they choose from."""
