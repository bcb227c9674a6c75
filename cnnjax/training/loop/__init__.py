"""The steps of a run, their batches, and what is written between them."""
