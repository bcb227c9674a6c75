"""Image sets made on disk once, as TFDS keeps them."""
