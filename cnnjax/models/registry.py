"""The registry: every network under its name, with its figures."""

import dataclasses
import fnmatch
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import flax.linen as linen

from cnnjax.models.info import ModelInfo
from cnnjax.parts import Registry, is_path

Maker = TypeVar("Maker", bound=Callable[..., linen.Module])


@dataclasses.dataclass(frozen=True)
class Entry:
    """A network: its class, its settings and its figures; variants are entries too.

    Attributes:
        net: the class of the network, or a function that returns it.
        settings: arguments of `net`.
        info: what it expects and its figures.
        variants: other forms of the network, by their names.
    """

    net: Callable[..., linen.Module]
    settings: Mapping[str, Any]
    info: ModelInfo
    variants: Mapping[str, "Entry"]


MODELS: Registry[Entry] = Registry("model", example="my_package.nets:MyNet")
_aliases: dict[str, str] = {}
_families: list[tuple[re.Pattern[str], str, Callable[..., Entry]]] = []


def register(
    net: Callable[..., linen.Module],
    info: ModelInfo,
    *,
    aliases: tuple[str, ...] = (),
    variants: Mapping[str, Entry] | None = None,
    replace: bool = False,
    **settings: Any,
) -> None:
    """Registers a network under `info.name`.

    Args:
        net: the class.
        info: what it expects and its figures.
        aliases: further names.
        variants: other forms of the same network, by their names.
        replace: whether this network may replace another one of the same name.
        **settings: the fields of `net` that make it this network.

    Raises:
        ValueError: the name or an alias is taken.
    """
    for name in (info.name, *aliases):
        if name in _aliases or (name in MODELS and name in aliases):
            raise ValueError(f"register: the name {name!r} is taken")
    MODELS.add(info.name, Entry(net, settings, info, variants or {}), replace=replace)
    _aliases.update(dict.fromkeys(aliases, info.name))


def register_model(
    name: str,
    *,
    input_size: tuple[int, int, int],
    source: str = "",
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    scale: float = 1.0,
    replace: bool = False,
    **settings: Any,
) -> Callable[[Maker], Maker]:
    """Returns a decorator that registers a Linen module's class, or a function that makes a module.

    `create_model(name)` then makes it, and a configuration may name it. It gets the number of
    classes and the dtype as `num_classes` and `dtype`, if it takes such arguments. At the top level
    of a module or of a configuration file, a run finds it again in another process.

    Args:
        name: the name.
        input_size: height, width and channels of the images.
        source: the paper or implementation that it follows; empty for its module and class.
        mean: mean of each channel, which `data.normalization="model"` uses; None for 0.
        std: standard deviation of each channel, used with `mean`; None for 1.
        scale: the value of a white pixel before `mean` and `std` are applied (1 or 255).
        replace: whether this network may replace another one of the same name.
        **settings: arguments that make it this network.

    Raises:
        ValueError: the name is taken, or `mean` or `std` has another number of channels.
    """
    channels = input_size[2] if len(input_size) == 3 else 0
    if channels < 1:
        raise ValueError(
            f"register_model: input_size must be (height, width, channels), got {input_size!r}"
        )
    # Without statistics, pixels pass unchanged.
    mean, std = mean or (0.0,) * channels, std or (1.0,) * channels
    for key, values in (("mean", mean), ("std", std)):
        if len(values) != channels:
            raise ValueError(
                f"register_model: {key} must have one number for each of the {channels} channels "
                f"of input_size, got {values!r}"
            )

    def enter(net: Maker) -> Maker:
        stated = source or f"{net.__module__}:{getattr(net, '__qualname__', name)}"
        info = ModelInfo(name, stated, input_size, None, mean=mean, std=std, scale=scale)
        register(net, info, replace=replace, **settings)
        return net

    return enter


def register_family(pattern: str, form: str, entry: Callable[..., Entry]) -> None:
    """Registers a network for every name that matches `pattern`.

    Args:
        pattern: a regular expression for the whole name, with named groups.
        form: the form of the names, for messages, such as "wrn<depth>_<width>".
        entry: called with the groups by name (strings); returns the network, or raises a ValueError
            that lists the allowed numbers.
    """
    _families.append((re.compile(pattern), form, entry))


def list_models(pattern: str = "*") -> list[str]:
    """Returns the names of the registered networks, sorted.

    Aliases, and families of names such as "wrn<depth>_<width>" beyond the published ones, are not
    listed, but `create_model` takes them.

    Args:
        pattern: a shell pattern, such as "resnet*".

    Example:
        >>> from cnnjax import models
        >>> models.list_models("vgg1?")
        ['vgg11', 'vgg13', 'vgg16', 'vgg19']
    """
    names = (name for name in MODELS if fnmatch.fnmatchcase(name, pattern))
    # Numbers by value, so that resnet50 comes before resnet101.
    return sorted(
        names, key=lambda n: [p.zfill(6) if p.isdigit() else p for p in re.split(r"(\d+)", n)]
    )


def list_variants(name: str) -> list[str]:
    """Returns the names of a network's other forms, for `create_model(..., variant=...)`.

    Args:
        name: a registered name or alias.

    Raises:
        ValueError: there is no such network; the message gives the nearest names.
    """
    return list(find_entry(name).variants)


def model_info(name: str, variant: str | None = None) -> ModelInfo:
    """Returns what a network expects, and its figures.

    Args:
        name: a registered name or alias.
        variant: a registered form, or None for the usual one.

    Raises:
        ValueError: there is no such network or variant (the message gives the nearest names), or
            `name` is a path, for which nothing is registered.

    Example:
        >>> from cnnjax import models
        >>> info = models.model_info("resnet50")
        >>> info.input_size, info.parameters
        ((224, 224, 3), 25557032)
    """
    info = find_entry(name, variant).info
    if is_path(name):
        raise ValueError(
            f"model_info: nothing is known about {name!r}; give its class a name and an input size "
            "with @models.register_model('my_net', input_size=(32, 32, 3)), and use that name"
        )
    return info


def record_model(name: str) -> dict[str, Any]:
    """Returns where a user's network is defined, for `cnnjax.parts.restore`; {} for cnnjax's own.

    Args:
        name: a registered name, an alias or a path.

    Raises:
        ValueError: there is no such network.
    """
    find_entry(name)
    return MODELS.record(name) if name in MODELS or is_path(name) else {}


def find_entry(name: str, variant: str | None = None) -> Entry:
    """Returns the entry of a network.

    Args:
        name: a registered name, an alias, a family's name, or a path.
        variant: a registered form, or None for the usual one.

    Raises:
        ValueError: there is no such network or variant; the message gives the nearest names.
    """
    entry = _entry(_aliases.get(name, name))
    if variant is None:
        return entry
    if variant not in entry.variants:
        known = ", ".join(map(repr, entry.variants)) or "none"
        raise ValueError(f"{name} has no variant {variant!r}; there is {known}")
    return entry.variants[variant]


def _entry(name: str) -> Entry:
    """Returns the entry of a registered name, a family's name, or a path."""
    if name in MODELS:
        return MODELS.get(name)
    for pattern, _, entry in _families:
        if match := pattern.fullmatch(name):
            return entry(**match.groupdict())
    if ":" in name:
        part: Any = MODELS.get(name)
        if not callable(part) or isinstance(part, linen.Module):
            raise ValueError(
                f"model {name!r} is a {type(part).__name__} object; give the path of a "
                "flax.linen.Module's class, or of a function that returns such a module"
            )
        net: Any = part
        return Entry(net, {}, ModelInfo(name, "", (0, 0, 0), None), {})
    forms = ", ".join(form for _, form, _ in _families)
    raise MODELS.unknown(
        name,
        [*MODELS, *_aliases],
        "list_models() gives all" + (f", and every {forms} is one too" if forms else ""),
    )
