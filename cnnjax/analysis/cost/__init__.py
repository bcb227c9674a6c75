"""What a network costs: operations, memory and receptive fields, layer by layer."""
