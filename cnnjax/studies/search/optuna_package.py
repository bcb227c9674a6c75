"""Optuna, which an extra brings."""

from typing import Any

from cnnjax.extras import installed_with


def load_optuna() -> Any:
    """Returns the package, which reports no more than warnings then.

    Raises:
        MissingPackage: it is not installed.
    """
    with installed_with("tune"):
        import optuna
        import optuna.storages.journal
    # It would report each study and each trial.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
