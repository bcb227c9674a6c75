"""One regular-expression language over parameter paths: freezing, rates, decay, sharding, loading.

A path joins the keys to a leaf by "/", as in `params/C1/kernel` without the leading collection:
`C1/kernel`. A rule is a pair (pattern, value); the first rule whose pattern matches the whole path
gives the value, and every path must match some rule.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import jax


def path_names(tree: Any) -> list[str]:
    """Returns the path of every leaf, in leaf order.

    Args:
        tree: any pytree.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]


def match(rules: Sequence[tuple[str, Any]], tree: Any) -> Any:
    """Gives every leaf of a tree the value of the first rule that matches its path.

    Args:
        rules: pairs of a regular expression, which must match a whole path, and a value.
        tree: any pytree; only its structure matters.

    Returns:
        A tree of the same structure with the values as leaves.

    Raises:
        ValueError: a pattern is no regular expression, or some paths match no rule (all are named).
    """
    values, missed = [], []
    for name, number in _first_matches(rules, tree):
        if number is None:
            missed.append(name)
        else:
            values.append(rules[number][1])
    if missed:
        patterns = ", ".join(repr(pattern) for pattern, _ in rules) or "none"
        raise ValueError(
            f"parameters {', '.join(missed)} match none of the patterns ({patterns}); "
            "end the list with the pattern '.*' to give all others a value"
        )
    return jax.tree.unflatten(jax.tree.structure(tree), values)


def unused(rules: Sequence[tuple[str, Any]], tree: Any) -> list[str]:
    """Returns the patterns that give no leaf its value; a last ".*" need not.

    Args:
        rules: see `match`.
        tree: any pytree; only its structure matters.

    Raises:
        ValueError: a pattern is no regular expression.
    """
    used = {number for _, number in _first_matches(rules, tree)}
    if rules and rules[-1][0] == ".*":
        used.add(len(rules) - 1)
    return [pattern for number, (pattern, _) in enumerate(rules) if number not in used]


def check(key: str, rules: Sequence[tuple[str, Any]], tree: Any) -> None:
    """Refuses rules that leave paths of a tree out, or that match none; no rules are allowed.

    Args:
        key: the name of the setting that holds the rules, for the message.
        rules: see `match`.
        tree: any pytree; only its structure matters.

    Raises:
        ValueError: some rule or path is left over; the message names them.
    """
    if not rules:
        return
    try:
        match(rules, tree)
        useless = unused(rules, tree)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    if useless:
        raise ValueError(
            f"{key}: the patterns {', '.join(map(repr, useless))} give no parameter its value; "
            f"the parameters are {', '.join(path_names(tree))}"
        )


def _first_matches(rules: Sequence[tuple[str, Any]], tree: Any) -> Iterator[tuple[str, int | None]]:
    """Yields each leaf's path and the number of the first rule that matches it."""
    compiled = []
    for pattern, _ in rules:
        try:
            compiled.append(re.compile(pattern))
        except re.error as error:
            raise ValueError(f"pattern {pattern!r} is not a regular expression: {error}") from None
    for name in path_names(tree):
        numbers = (n for n, pattern in enumerate(compiled) if pattern.fullmatch(name))
        yield name, next(numbers, None)
