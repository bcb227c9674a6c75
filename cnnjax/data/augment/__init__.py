"""Random changes of training examples, and the one-line language that names them."""
