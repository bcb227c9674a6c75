"""Networks whose predictions can be joined: the same task, classes and images."""

from cnnjax.inference.network import Network
from cnnjax.training.errors import ConfigError


def check_agreement(first: Network, other: Network) -> None:
    """Refuses networks of other classes, and networks that evaluate other images.

    Args:
        first: a network.
        other: another one.

    Raises:
        ConfigError: their predictions cannot be joined.
    """
    where = f"{first.origin} and {other.origin}"
    names, theirs = (getattr(member.task, "class_names", ()) for member in (first, other))
    if type(first.task) is not type(other.task) or names != theirs:
        raise ConfigError(
            f"workdir: {where} do not have the same task and classes: {_names(first)} and "
            f"{_names(other)}; only networks of the same classes can be joined"
        )
    if first.data_identity != other.data_identity:
        raise ConfigError(
            f"workdir: {where} do not evaluate the same images: {first.data_identity} and "
            f"{other.data_identity}; evaluate them apart"
        )


def _names(network: Network) -> str:
    names = getattr(network.task, "class_names", ())
    listed = ", ".join(names[:3]) + (f", … ({len(names)})" if len(names) > 3 else "")
    return f"{type(network.task).__name__} {listed}".strip()
