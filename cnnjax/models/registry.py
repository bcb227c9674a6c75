"""The registry: every network under its name, with the figures that its source publishes."""

import dataclasses
import fnmatch
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from cnnjax.models.net import Net
from cnnjax.nearest import did_you_mean


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """What a network expects, and what its source says of it.

    Attributes:
      name: registered name.
      source: the paper or reference implementation that the figures come from.
      input_size: height, width and channels of the images.
      parameters: number of trainable parameters in the default configuration; None where none is
        published.
      multiply_adds: multiply-adds of convolutions and dense layers for one image, with the digits
        that are published, such as "724.4 M"; None where none is.
      auxiliary_parameters: parameters of the auxiliary heads, which `parameters` leaves out.
      errors: published errors, in words, per cent.
      mean, std: statistics of the input's channels, on the scale that the network expects.
      scale: the value of a white pixel before `mean` and `std` are applied (1 or 255).
      notes: how the network deviates from its source.
    """

    name: str
    source: str
    input_size: tuple[int, int, int]
    parameters: int | None
    multiply_adds: str | None = None
    auxiliary_parameters: int = 0
    errors: str | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1.0
    notes: str = ""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A registered network: its class, its settings and its figures; variants are entries too."""

    net: type[Net]
    settings: Mapping[str, Any]
    info: ModelInfo
    variants: Mapping[str, "Entry"]


_entries: dict[str, Entry] = {}
_aliases: dict[str, str] = {}
_families: list[tuple[re.Pattern[str], str, Callable[..., Entry]]] = []


def register(
    net: type[Net],
    info: ModelInfo,
    *,
    aliases: tuple[str, ...] = (),
    variants: Mapping[str, Entry] | None = None,
    **settings: Any,
) -> None:
    """Enters a network under `info.name`.

    Args:
      net: the class.
      info: what it expects and what is published of it.
      aliases: further names.
      variants: other forms of the same network, by their names.
      **settings: the fields of `net` that make it this network.

    Raises:
      ValueError: the name or an alias is taken.
    """
    for name in (info.name, *aliases):
        if name in _entries or name in _aliases:
            raise ValueError(f"register: the name {name!r} is taken")
    _entries[info.name] = Entry(net, settings, info, variants or {})
    _aliases.update(dict.fromkeys(aliases, info.name))


def register_family(pattern: str, form: str, entry: Callable[..., Entry]) -> None:
    """Makes every name that matches `pattern` a network.

    Args:
      pattern: a regular expression for the whole name, with named groups.
      form: how the names look, for messages, such as "wrn<depth>_<width>".
      entry: called with the groups by name (strings); returns the network, or raises a ValueError
        that says which numbers are allowed.
    """
    _families.append((re.compile(pattern), form, entry))


def list_models(pattern: str = "*") -> list[str]:
    """Names of the registered networks, sorted.

    Args:
      pattern: a shell pattern, such as "resnet*". Aliases, and families of names such as
        "wrn<depth>_<width>" beyond the published ones, are not listed, but can be created.

    Returns:
      The names that match.
    """
    names = (name for name in _entries if fnmatch.fnmatchcase(name, pattern))
    # Numbers by value, so that resnet50 comes before resnet101.
    return sorted(
        names, key=lambda n: [p.zfill(6) if p.isdigit() else p for p in re.split(r"(\d+)", n)]
    )


def list_variants(name: str) -> list[str]:
    """Names of the other forms of the network `name`, for `create_model(..., variant=...)`.

    Raises:
      ValueError: there is no such network; the message gives the nearest names.
    """
    return list(_find(name, None).variants)


def model_info(name: str, variant: str | None = None) -> ModelInfo:
    """What the network `name` expects, and its published figures.

    Raises:
      ValueError: there is no such network or variant; the message gives the nearest names.
    """
    return _find(name, variant).info


def create_model(
    name: str,
    num_classes: int | None = None,
    dtype: Any = jnp.float32,
    *,
    variant: str | None = None,
    **overrides: Any,
) -> Net:
    """Makes the network `name`, a Flax module without parameters.

    Args:
      name: a registered name or alias, such as "resnet50", "vgg_d" or "wrn40_4".
      num_classes: number of logits; None means as published.
      dtype: dtype of the computation; parameters are float32 always.
      variant: a registered form, such as "torchvision" for the one that library's weights need.
      **overrides: fields of the module to set, such as `backward="native"`, `remat=True`,
        `initialization="he"` or `dropout_rate=0.3`.

    Returns:
      The module. `model.init(key, x)` gives its variables, `model.apply(variables, x,
      train=False)` its logits.

    Raises:
      ValueError: an unknown name or variant (the message gives the nearest names), an unknown
        override (the message gives the allowed ones), or a value that is not allowed.
    """
    entry = _find(name, variant)
    allowed = allowed_overrides(entry.net)
    unknown = sorted(set(overrides) - set(allowed))
    if unknown:
        raise ValueError(
            f"create_model: {name} takes no {', '.join(map(repr, unknown))}; allowed are "
            f"{', '.join(allowed)}"
        )
    settings = {**entry.settings, **overrides, "dtype": dtype}
    if num_classes is not None:
        settings["num_classes"] = num_classes
    return entry.net(**settings)


def allowed_overrides(net: type[Net]) -> list[str]:
    """The fields of a network's class that `create_model` lets be set."""
    given = ("name", "parent", "dtype", "num_classes")
    return sorted(f.name for f in dataclasses.fields(net) if f.init and f.name not in given)


def _find(name: str, variant: str | None) -> Entry:
    entry = _entries.get(_aliases.get(name, name)) or _from_family(name)
    if entry is None:
        forms = ", ".join(form for _, form, _ in _families)
        raise ValueError(
            f"unknown model {name!r}; {did_you_mean(name, [*_entries, *_aliases])}"
            "list_models() gives all" + (f", and every {forms} is one too" if forms else "")
        )
    if variant is None:
        return entry
    if variant not in entry.variants:
        known = ", ".join(map(repr, entry.variants)) or "none"
        raise ValueError(f"{name} has no variant {variant!r}; there is {known}")
    return entry.variants[variant]


def _from_family(name: str) -> Entry | None:
    for pattern, _, entry in _families:
        if match := pattern.fullmatch(name):
            return entry(**match.groupdict())
    return None
