"""The texts of --help: flags in groups, keys of a configuration, in two columns."""
