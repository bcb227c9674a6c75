"""What a run raises when its user, not its code, has to mend something."""


class ConfigError(ValueError):
    """The configuration asks for something that does not exist or cannot work."""


class RunFolderError(Exception):
    """The run's folder cannot be used: not writable, another run's, in use, or without a run."""


class CheckpointError(Exception):
    """No checkpoint of the run can be trusted, or none can be written."""


class TrainingDiverged(Exception):
    """A number is no longer finite; the last checkpoint is as it was."""


class TrainingStopped(Exception):
    """The run was asked to stop, and has saved its state: started again, it goes on."""
