"""The folder of a run: checkpoints, metrics, events and what it ran on."""
