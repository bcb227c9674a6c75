"""The keys of a configuration with type, range, default and meaning, read from the schema."""

import types
import typing
from collections.abc import Iterator
from typing import Any

from cnnjax.commands.help.columns import entry, prose
from cnnjax.extras import installed_with

with installed_with("train"):
    import annotated_types
    import pydantic
    from pydantic.fields import FieldInfo

COLUMN = 42
"""Where the second column starts, in characters."""

HEADING = "Keys of the configuration (--config.KEY=VALUE)"

_NAMES = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "true or false",
    type(None): "none",
    Any: "any value",
}


def schema_help(defaults: pydantic.BaseModel) -> str:
    """Returns every key of a configuration, section by section.

    Args:
        defaults: the configuration in which nothing is set.
    """
    parts = [f"{HEADING}:"]
    for path, section in sections(defaults):
        lines = [f"  config.{path}" if path else "  config"]
        if docstring := type(section).__doc__:
            lines.append(f"{prose(docstring, 4)}\n")
        lines += [
            _key_entry(f"{path}.{name}" if path else name, name, section)
            for name in _leaves(section)
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def sections(section: pydantic.BaseModel, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields a section and all beneath it, each with its dotted path.

    Of a table whose values are sections, one such section is given, with the path `….NAME`.

    Args:
        section: a part of the configuration, or all of it.
        path: the dotted path to it; "" for all of it.
    """
    yield path, section
    for name, field in type(section).model_fields.items():
        inner = f"{path}.{name}" if path else name
        value = getattr(section, name)
        if isinstance(value, pydantic.BaseModel):
            yield from sections(value, inner)
        elif (kind := _section_of_table(field.annotation)) is not None:
            yield from sections(kind(), f"{inner}.NAME")


def _leaves(section: pydantic.BaseModel) -> list[str]:
    """Returns the keys of a section that are no sections, with those that are not in its schema."""
    names = [*type(section).model_fields, *(section.model_extra or {})]
    fields = type(section).model_fields
    return [
        name
        for name in names
        if not isinstance(getattr(section, name), pydantic.BaseModel)
        and not (name in fields and _section_of_table(fields[name].annotation))
    ]


def _section_of_table(annotation: Any) -> type[pydantic.BaseModel] | None:
    if typing.get_origin(annotation) is not dict:
        return None
    kind = typing.get_args(annotation)[1]
    return kind if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel) else None


def _key_entry(path: str, name: str, section: pydantic.BaseModel) -> str:
    field = type(section).model_fields.get(name)
    value = getattr(section, name)
    if field is None:
        kind, meaning = type_text(type(value)), ""
    else:
        limits = [_limit_text(limit) for limit in field.metadata]
        kind = ", ".join([type_text(field.annotation), *filter(None, limits)])
        meaning = field.description or ""
    texts = [f"{meaning.rstrip('.')}." if meaning else "", f"[{kind}; default: {show(value)}]"]
    return entry(f"--config.{path}", " ".join(filter(None, texts)), COLUMN, indent=4)


def type_text(annotation: Any) -> str:
    """Returns a type in words for a reader without Python, with allowed values and ranges.

    Args:
        annotation: of a key of the schema.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _NAMES:
        return _NAMES[annotation]
    if origin is typing.Literal:
        return "|".join(str(value) for value in arguments)
    if origin is typing.Annotated:
        limits = [_limit_text(limit) for limit in _constraints(arguments[1:])]
        return ", ".join([type_text(arguments[0]), *filter(None, limits)])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_text(argument) for argument in arguments)
    if origin in (tuple, list):
        if len(arguments) == 1 or arguments[-1] is Ellipsis:
            return f"list of {type_text(arguments[0])}"
        return f"({', '.join(type_text(argument) for argument in arguments)})"
    if origin is dict or annotation is dict:
        return "table"
    return getattr(annotation, "__name__", str(annotation))


def _constraints(metadata: tuple[Any, ...]) -> Iterator[Any]:
    for item in metadata:
        yield from item.metadata if isinstance(item, FieldInfo) else (item,)


def _limit_text(limit: Any) -> str:
    """Returns a bound of a value in words; "" for what is no bound."""
    words = (
        (annotated_types.Ge, "at least {0.ge}"),
        (annotated_types.Gt, "above {0.gt}"),
        (annotated_types.Le, "at most {0.le}"),
        (annotated_types.Lt, "below {0.lt}"),
        (annotated_types.MultipleOf, "a multiple of {0.multiple_of}"),
        (annotated_types.MinLen, "at least {0.min_length} long"),
        (annotated_types.MaxLen, "at most {0.max_length} long"),
    )
    return next((text.format(limit) for kind, text in words if isinstance(limit, kind)), "")


def show(value: Any) -> str:
    """Returns a default value as it is typed, or "none" or "empty".

    Args:
        value: of a key.
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value not in ("", (), [], {}) else "empty"
