"""Search over settings: trials of random settings, the best of which is retrained and tested."""
