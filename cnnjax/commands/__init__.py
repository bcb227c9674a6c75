"""Commands: one program for each thing a user does, flags in, one library call."""
