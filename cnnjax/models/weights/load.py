"""Loading weights: another library's, or our own, into the variables of a network."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from cnnjax import digests
from cnnjax.models.create import create_model
from cnnjax.models.net import Net
from cnnjax.models.registry import find_entry, list_models, model_info
from cnnjax.models.weights import files
from cnnjax.models.weights.mismatch import Mismatch, WeightsError, compare
from cnnjax.models.weights.sources import OURS, find_table, own_slots, shapes_at
from cnnjax.models.weights.tables import Slot, Table, leaves, slots


def load_pretrained(
    model: Net,
    path: str | os.PathLike[str],
    source: str = "torchvision",
    *,
    variables: Mapping[str, Any] | None = None,
    classifiers: bool = True,
    skip: Sequence[str] = (),
    input_size: tuple[int, int, int] | None = None,
    sha256: str | None = None,
    part: str | None = None,
) -> dict[str, Any]:
    """Reads a network's variables from a safetensors file; torch is not needed.

    Every array of the network must be in the file with the right shape, and every array of the file
    must have its place. A prefix "module." is ignored, as is batch norm's `num_batches_tracked`.
    Arrays of auxiliary heads are ignored if the network has `aux_heads=False`, else needed.

    Transfer keeps a classifier of its own, and loads everything else as strictly:

        variables = model.init(key, images)
        variables = load_pretrained(model, path, variables=variables, classifiers=False)

    The backbone of a network for each pixel is loaded from a file of the backbone itself, whose
    classifier is left out:

        variables = load_pretrained(unet, path, variables=variables, part="encoder")

    Args:
        model: a network in the form that the source has; see `create_model`'s `variant`.
        path: of the file, from `scripts/convert_torch_weights.py` or `download_pretrained`.
        source: "torchvision", "timm", or "cnnjax" for files of `save_pretrained`.
        variables: the network's own variables, which keep what is not loaded; needed only with
            `classifiers=False`, `skip` or `part`. They also determine the images' size.
        classifiers: whether `model.classifiers` are loaded, those of auxiliary heads among them.
        skip: regular expressions over parameter paths without their collection, such as
            "aux[12]/.*"; a parameter whose whole path matches one is not loaded.
        input_size: height, width and channels of the images; None for the usual size of the
            source's (or the registry's) network.
        sha256: checksum that the file must have, or None.
        part: the part that the file is for, "encoder"; None for the whole network.

    Returns:
        Variables for `model.apply`, parameters and statistics as float32.

    Raises:
        FileNotFoundError: there is no such file.
        WeightsError: the format or the checksum is wrong, or arrays do not fit (see `mismatch`).
        ValueError: the source has no such network, or one that computes something else; or an
            argument contradicts another.
    """
    if part is not None:
        return _load_part(model, part, path, source, variables, skip, sha256)
    table = None if source == OURS else find_table(model, source)
    patterns = _patterns(model, classifiers, skip)
    if variables is None:
        variables = _shapes(model, table, bool(patterns), input_size)
    elif input_size is not None:
        raise ValueError("load_pretrained: variables determine the size; leave out input_size")
    return _read(model, path, source, variables, patterns, sha256)


def _load_part(
    model: Net,
    part: str,
    path: str | os.PathLike[str],
    source: str,
    variables: Mapping[str, Any] | None,
    skip: Sequence[str],
    sha256: str | None,
) -> dict[str, Any]:
    """Returns the variables with those of a part read from a file of that part's network."""
    network = model.part(part)
    if variables is None:
        raise ValueError(
            "load_pretrained: with part, give variables=model.init(...), which keep what is not "
            "loaded"
        )
    inner = {name: tree[part] for name, tree in variables.items() if part in tree}
    table = None if source == OURS else find_table(network, source)
    whole = shapes_at(network, table.input_size if table else _usual_size(network))
    places = slots(network, table.rules_for(network), whole) if table else own_slots(whole)
    # The layers after the part's last maps, whatever their shape.
    beyond = {slot.name for slot in places}
    patterns = _patterns(network, True, skip)
    loaded = _read(network, path, source, inner, patterns, sha256, beyond)
    return {
        name: {**tree, part: loaded[name]} if name in loaded else tree
        for name, tree in variables.items()
    }


def _read(
    model: Net,
    path: str | os.PathLike[str],
    source: str,
    variables: Mapping[str, Any],
    patterns: Mapping[re.Pattern[str], bool],
    sha256: str | None,
    beyond: Iterable[str] = (),
) -> dict[str, Any]:
    """Returns the variables read from a file; it may also have the names in `beyond`."""
    table = None if source == OURS else find_table(model, source)
    places = slots(model, table.rules_for(model), variables) if table else own_slots(variables)
    kept = _kept(patterns, places)
    wanted = [slot for slot in places if slot.label not in kept]
    if sha256 is not None and (found := digests.of_file(path)) != sha256.lower():
        raise WeightsError(f"{path} has the SHA-256 {found}, not {sha256}")
    with files.open_tensors(path, table.rename if table else str) as tensors:
        optional = _optional(places, kept, table, {*tensors.shapes}) | {*beyond}
        if mismatch := compare(wanted, tensors.shapes, optional):
            raise _misfit(mismatch, wanted, model, path, source)
        return _filled(variables, wanted, tensors.read)


def _optional(
    places: Sequence[Slot], kept: set[str], table: Table | None, given: Iterable[str]
) -> set[str]:
    """Returns the names that the file may have although they are not loaded."""
    optional = {slot.name for slot in places if slot.label in kept}
    return optional | (table.unneeded({s.name for s in places}, given) if table else set())


def _shapes(
    model: Net, table: Table | None, keeps: bool, input_size: tuple[int, int, int] | None
) -> dict[str, Any]:
    """Returns the shapes of a network's variables; `keeps`: whether some are not loaded."""
    if keeps:
        raise ValueError(
            "load_pretrained: with classifiers=False or skip, give variables=model.init(...), "
            "which keep what is not loaded"
        )
    return shapes_at(model, input_size or (table.input_size if table else _usual_size(model)))


def _usual_size(model: Net) -> tuple[int, int, int]:
    """Returns the input size of the nearest registered network."""

    def distance(name: str) -> tuple[bool, int]:
        net = find_entry(name).net
        if not isinstance(net, type) or not isinstance(model, net):
            return True, 0
        other = create_model(name)
        fields = type(other).__dataclass_fields__
        return False, sum(getattr(model, f) != getattr(other, f) for f in fields)

    # The registered network of the same class with the fewest different fields.
    return model_info(min(list_models(), key=distance)).input_size


def _classifiers(model: Any) -> Sequence[str]:
    """Returns the paths of the classifiers; networks of other libraries have no such field."""
    return getattr(model, "class_layers", ())


def _patterns(model: Net, classifiers: bool, skip: Sequence[str]) -> dict[re.Pattern[str], bool]:
    """Returns patterns of what is not loaded, and whether each must match something."""
    if isinstance(skip, str):
        raise ValueError(f"load_pretrained: skip is a list of patterns, got {skip!r}")
    if not classifiers and not _classifiers(model):
        raise ValueError(f"load_pretrained: {type(model).__name__} has no classifier to keep")
    patterns = {}
    for text in skip:
        try:
            patterns[re.compile(text)] = True
        except re.error as error:
            raise ValueError(
                f"load_pretrained: the pattern {text!r} is not a regular expression: {error}"
            ) from None
    if not classifiers:
        # Auxiliary heads may be absent, and their classifiers with them.
        patterns.update({re.compile(f"{layer}/.*"): False for layer in _classifiers(model)})
    return patterns


def _kept(patterns: Mapping[re.Pattern[str], bool], places: Sequence[Slot]) -> set[str]:
    """Returns the paths that are not loaded."""
    kept = set()
    for pattern, needed in patterns.items():
        found = {slot.label for slot in places if pattern.fullmatch(slot.label)}
        if needed and not found:
            raise ValueError(
                f"load_pretrained: no parameter matches {pattern.pattern!r}; there are "
                f"{', '.join(dict.fromkeys(slot.label for slot in places))}"
            )
        kept |= found
    return kept


def _misfit(
    mismatch: Mismatch,
    wanted: Sequence[Slot],
    model: Net,
    path: str | os.PathLike[str],
    source: str,
) -> WeightsError:
    """Returns the error that lists all differences, and how to fix the usual ones."""
    paths = {slot.name: slot.label for slot in wanted}
    lines = mismatch.lines(paths)
    heads = tuple(f"{layer.partition('/')[0]}/" for layer in _classifiers(model) if "/" in layer)
    if heads and any(paths[name].startswith(heads) for name in mismatch.missing):
        lines.append("for a file without auxiliary heads, create the network with aux_heads=False")
    misshapen = {paths[name].rpartition("/")[0] for name in mismatch.wrong_shape}
    if misshapen and misshapen <= set(_classifiers(model)):
        lines.append(
            "to keep a classifier of your own, give variables=model.init(...) and classifiers=False"
        )
    elif misshapen:
        lines.append(
            "for images of another size or number of channels, give input_size=(height, width, "
            "channels)"
        )
    counts = (
        f"{len(mismatch.missing)} missing, {len(mismatch.unexpected)} unexpected, "
        f"{len(mismatch.wrong_shape)} of another shape"
    )
    return WeightsError(
        "\n  ".join([f"{path} ({source}) does not fit {type(model).__name__}: {counts}", *lines]),
        mismatch,
    )


def _filled(
    variables: Any, wanted: Sequence[Slot], read: Callable[[str], np.ndarray]
) -> dict[str, Any]:
    """Returns the variables with the wanted places read from the file."""
    arrays: dict[tuple[str, ...], list[np.ndarray]] = {}
    for slot in wanted:
        arrays.setdefault(slot.path, []).append(slot.layout.to_ours(read(slot.name)))
    tree: dict[str, Any] = {}
    for path, leaf in leaves(variables).items():
        if path in arrays:
            rows = arrays[path]
            # Blocks under `scan` are one array with a leading axis.
            whole = np.stack(rows) if len(leaf.shape) > rows[0].ndim else rows[0]
            leaf = jnp.asarray(whole.astype(leaf.dtype))
        branch = tree
        for key in path[:-1]:
            branch = branch.setdefault(key, {})
        branch[path[-1]] = leaf
    return tree
