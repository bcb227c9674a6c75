"""The flag that names a run's configuration file; each key of the configuration is a flag too."""

from cnnjax import recipes, training
from cnnjax.extras import installed_with

with installed_with("train"):
    from ml_collections import config_flags

GROUP = "The run"

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    # No default here: ml_collections would parse it, and fail, at import.
    None,
    "Configuration: a file, or the name of one that `cnnjax configs` lists, e.g. lenet5_digits; "
    "each of its keys is a flag too, e.g. --config.epochs=20.",
)


def read_config() -> recipes.RunConfig:
    """Returns the checked configuration.

    Raises:
        ConfigError: its file cannot be loaded, or holds unknown keys or wrong values.
    """
    try:
        values = _CONFIG.value.to_dict()
    except OSError as error:
        raise training.ConfigError(f"--config: {error}") from None
    return recipes.parse_config(values)
