"""The steps of a run, what feeds them and what is written between them."""
