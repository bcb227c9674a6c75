"""The errors of a run that its user, not its code, has to fix."""


class ConfigError(ValueError):
    """The configuration names something that does not exist or cannot work."""


class RunFolderError(Exception):
    """The run's folder cannot be used: not writable, another run's, in use, or without a run."""


class FolderInUse(RunFolderError):
    """Another process writes into the run's folder."""


class FolderWriteError(RunFolderError):
    """The run's folder cannot be written now: the disk is full or fails; what is saved stays."""


class CheckpointError(Exception):
    """No checkpoint of the run can be trusted, or none can be written."""


class TrainingDiverged(Exception):
    """A number is no longer finite; the last checkpoint is as it was."""


class TrainingStopped(Exception):
    """The run received a signal to stop and has saved its state: started again, it continues."""
