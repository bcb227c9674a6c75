"""Networks of other libraries, trained with lax's convolution and with ours in its place."""
