"""What the code's layout is like, measured: `python -m scripts.house`."""
