"""How a run is spread over devices and processes."""
