"""What XLA's TPU compiler makes of training steps, without a TPU."""
