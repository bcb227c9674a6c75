"""The help of configurations: every key of the schema, in words."""

from typing import Annotated, Any, Literal

import pydantic
import pytest
from pydantic import Field

from cnnjax import recipes
from cnnjax.commands.help.columns import WIDTH
from cnnjax.commands.help.schema_help import schema_help, sections, show, type_text

DEFAULTS = recipes.parse_config({})
TEXT = schema_help(DEFAULTS)


class Layer(pydantic.BaseModel):
    """One layer.

    Its `size` is a side.
    """

    size: int = Field(default=3, ge=1, lt=12, description="Side of the kernel.")


class Net(pydantic.BaseModel):
    """A configuration of this test, with a table of sections and settings outside the schema."""

    model_config = pydantic.ConfigDict(extra="allow")

    layers: dict[str, Layer] = {}
    first: Layer = Layer(size=5)


def test_every_key_of_the_schema_has_a_line():
    assert {k for k in recipes.known_keys() if f"--config.{k}" not in TEXT} == set()


def test_every_section_shows_the_prose_of_its_docstring():
    words = " ".join(TEXT.split())
    for _, section in sections(DEFAULTS):
        assert " ".join((type(section).__doc__ or "").split()) in words


def test_every_key_has_a_meaning():
    """Give a key a `description` in its `Field`, or name it in the section's docstring."""
    silent = [
        f"{path}.{name}"
        for path, section in sections(DEFAULTS)
        for name, field in type(section).model_fields.items()
        if not isinstance(getattr(section, name), pydantic.BaseModel)
        and "NAME" not in path
        and not field.description
        and f"`{name}`" not in (type(section).__doc__ or "")
    ]
    assert silent == []


def test_defaults_are_those_of_the_run_that_sets_nothing():
    padded = DEFAULTS.model_copy(update={"data": DEFAULTS.data.model_copy(update={"pad": 2})})
    text = schema_help(padded)
    (line,) = [line for line in text.splitlines() if line.strip().startswith("--config.data.pad ")]
    entry = text[text.index(line) :].split("--config.", 2)[1]
    assert " ".join(entry.split()).endswith("integer, at least 0; default: 2]")


def test_no_line_is_wider_than_the_terminal():
    assert max(map(len, TEXT.splitlines())) <= WIDTH == 100


def test_tables_of_sections_and_settings_outside_the_schema_are_listed():
    text = " ".join(schema_help(Net.model_validate({"weight": 0.5})).split())
    assert "--config.layers.NAME.size" in text
    assert "--config.first.size" in text
    assert "Side of the kernel. [integer, at least 1, below 12; default: 5]" in text
    assert "[number; default: 0.5]" in text


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "integer"),
        (float | None, "number or none"),
        (Literal["a", "b"] | None, "a|b or none"),
        (tuple[tuple[str, bool], ...], "list of (text, true or false)"),
        (Annotated[int, Field(gt=1, multiple_of=2)], "integer, above 1, a multiple of 2"),
        (dict[str, Any], "table"),
        (list[str], "list of text"),
        (Any, "any value"),
    ],
)
def test_types_read_as_words(annotation, text):
    assert type_text(annotation) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "none"), ("", "empty"), ((), "empty"), (True, "true"), (0, "0")]
)
def test_defaults_read_as_they_are_typed(value, text):
    assert show(value) == text
