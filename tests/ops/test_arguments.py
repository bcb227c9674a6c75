"""Every op, every argument, every kind of wrong value: an error that names op and argument."""

import inspect

import jax
import pytest

from cnnjax import ops
from cnnjax.ops import filters
from cnnjax.ops.arguments.table import ARGUMENTS, KINDS
from tests.ops.wrong_values import RIGHT, TAKEN, WRONG


def _op(name):
    return getattr(ops, name, None) or getattr(filters, name)


NO_OPS = {"Separation", "filters", "jit", "use_in_lax"}
"""Public names that take no arrays."""


def test_the_table_has_every_argument_of_every_op():
    functions = {*ops.__all__, *filters.__all__} - NO_OPS
    assert ARGUMENTS.keys() == RIGHT.keys() == functions
    for name, arguments in ARGUMENTS.items():
        assert arguments.keys() == RIGHT[name].keys()
        named = [
            argument
            for argument, parameter in inspect.signature(_op(name)).parameters.items()
            if parameter.kind is not parameter.VAR_KEYWORD
        ]
        assert set(named) <= arguments.keys()
        assert len(named) == len(arguments) or "options" in inspect.signature(_op(name)).parameters
    used = {kind for arguments in ARGUMENTS.values() for kind in arguments.values()}
    assert used == KINDS.keys() and TAKEN.keys() <= used


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_call_is_taken(name):
    def call(arrays):
        _op(name)(**(RIGHT[name] | arrays))

    jax.eval_shape(call, {k: v for k, v in RIGHT[name].items() if isinstance(v, jax.Array)})


@pytest.mark.parametrize("name", RIGHT)
def test_a_wrong_value_is_refused_in_the_name_of_op_and_argument(name):
    failed = []
    for argument, kind in ARGUMENTS[name].items():
        for label in WRONG.keys() - TAKEN.get(kind, set()):
            try:
                _op(name)(**(RIGHT[name] | {argument: WRONG[label]}))
            except (TypeError, ValueError) as error:
                if not str(error).startswith(f"{name}: ") or argument not in str(error):
                    failed.append((argument, label, str(error)))
            except Exception as error:
                failed.append((argument, label, repr(error)))
            else:
                failed.append((argument, label, "taken"))
    assert failed == []
