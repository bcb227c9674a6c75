"""The benchmark's networks and their training step in PyTorch, for channels_last tensors."""
