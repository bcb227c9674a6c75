"""Ready studies, by name: `--study=NAME`, or a file to copy and change."""
