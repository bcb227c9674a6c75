"""Which values of SimpleCNN's fields fit together."""

from typing import Any

from cnnjax.ops.checks import is_int, is_real
from cnnjax.ops.padding import is_zeros


def check_forms(net: Any) -> None:
    """Checks the forms of the numbers; `Net` checks that they are in range.

    Args:
        net: a SimpleCNN.

    Raises:
        ValueError: a field has another form; the message names it.
    """
    for field, what in (("widths", "stage"), ("hidden", "dense layer")):
        value = getattr(net, field)
        nested = isinstance(value, tuple) and not all(map(is_int, value))
        if not isinstance(value, tuple) or nested or value == net.widths == ():
            raise ValueError(
                f"SimpleCNN: {field} must be a tuple of ints, one for each {what}, got {value!r}"
            )
    for field in ("depth", "kernel"):
        if not all(map(is_int, net.each_stage(field))):
            raise ValueError(
                f"SimpleCNN: {field} must be an int, or a tuple with one for each stage, got "
                f"{getattr(net, field)!r}"
            )
    for field in ("pool_size", "pool_strides"):
        value = getattr(net, field)
        if not is_int(value) and not (value is None and field == "pool_strides"):
            raise ValueError(
                f"SimpleCNN: {field} must be an int, which counts for rows and columns, got "
                f"{value!r}"
            )
    for field in ("dropout_rate", "drop_path_rate"):
        if not is_real(getattr(net, field)):
            raise ValueError(
                f"SimpleCNN: {field} must be a number from 0 to 1, got {getattr(net, field)!r}"
            )


def check_combinations(net: Any) -> None:
    """Checks that the fields fit together.

    Args:
        net: a SimpleCNN.

    Raises:
        ValueError: two fields contradict each other; the message names both, and what to set.
    """
    for wrong, reason in _contradictions(net):
        if wrong:
            raise ValueError(f"SimpleCNN: {reason}")


def _contradictions(net: Any) -> list[tuple[bool, str]]:
    """Returns combinations that have no meaning, each with whether it is given."""
    mode, padding, rate = net.padding_mode, net.padding, net.drop_path_rate
    valid, branch = padding == "VALID", net.shortcut not in ("none", "concatenation")
    step, size = net.pool_strides, net.pool_size
    return [
        (
            valid and net.shortcut != "none",
            f"shortcut={net.shortcut!r} needs branches of the input's size, but "
            "padding='VALID' makes them smaller; set padding='SAME' or shortcut='none'",
        ),
        (
            valid and not is_zeros(mode),
            f"padding_mode={mode!r} has no pixels to fill with padding='VALID'; set "
            "padding='SAME' or padding_mode='zeros'",
        ),
        (
            rate > 0 and not branch,
            f"drop_path_rate={rate} needs a shortcut around the branch that is dropped, but "
            f"shortcut is {net.shortcut!r}; set shortcut='sum' or drop_path_rate=0.0",
        ),
        (
            rate >= 1,
            f"drop_path_rate must be less than 1, got {rate}: no example would pass the last "
            "stage's branch",
        ),
        (
            net.norm == "none" and net.norm_place == "after",
            "norm_place='after' places a normalization, but norm is 'none'; set norm='batch' "
            "or norm_place='before'",
        ),
        (
            net.pooling == "none" and step is not None,
            f"pool_strides={step} belongs to a pool, but pooling is 'none'; set pooling='max' "
            "or pool_strides=None",
        ),
        (
            step is not None and step > size,
            f"pool_strides={step} leaves out pixels between windows of pool_size={size}; set "
            "pool_strides to at most pool_size",
        ),
        (
            net.filters == "asymmetric" and 1 in net.each_stage("kernel"),
            "filters='asymmetric' cuts an n x n kernel into 1xn and nx1, but kernel is "
            f"{net.kernel!r}; set kernels of at least 2 or filters='shared'",
        ),
    ]
