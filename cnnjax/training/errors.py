"""What a run raises when its user, not its code, has to mend something."""


class ConfigError(ValueError):
    """The configuration asks for something that does not exist or cannot work."""


class RunFolderError(Exception):
    """The run's folder cannot be used: not writable, another run's, in use, or without a run."""


class CheckpointError(Exception):
    """No checkpoint of the run can be trusted."""


class TrainingDiverged(Exception):
    """The loss is no longer finite; the last checkpoint is as it was."""
