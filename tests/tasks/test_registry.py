from dataclasses import dataclass

import pytest

from cnnjax.tasks import TASKS, Classification, Task, register_task


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """Names that a test registers are forgotten after it."""
    for table in ("_parts", "_places"):
        monkeypatch.setattr(TASKS, table, dict(getattr(TASKS, table)))


@dataclass(frozen=True)
class Nothing(Task):
    pass


def test_a_task_is_found_by_the_name_that_it_was_registered_under():
    assert register_task("test_nothing")(Nothing) is Nothing
    assert TASKS.get("test_nothing") is Nothing
    assert TASKS.get("classification") is Classification


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("classification", "the name 'classification' is taken by cnnjax"),
        ("a:b", r"'a:b' can't be a name; give a text without ':'"),
        ("", "'' can't be a name"),
    ],
)
def test_names_that_are_taken_or_no_names_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        register_task(name)(Nothing)
