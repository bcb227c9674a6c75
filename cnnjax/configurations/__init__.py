"""Ready configurations of runs, by name: `--config=NAME`, or a file to copy and change."""
