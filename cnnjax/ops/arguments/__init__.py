"""Which kinds of arguments ops take, and the check of each kind."""
