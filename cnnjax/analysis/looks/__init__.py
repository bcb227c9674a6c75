"""What a network looks at: activations, kernels, attribution and images made for it."""
