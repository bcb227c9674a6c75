"""What the benchmarks measure: layers and networks, listed or drawn."""
