"""Networks of the registry with weights from a file or a hub, without a run."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnjax import data, models
from cnnjax.data import classes
from cnnjax.inference.images import ImageForm
from cnnjax.inference.network import Network
from cnnjax.models.weights.files import open_tensors
from cnnjax.models.weights.hub import weights_path
from cnnjax.recipes.schema import TaskConfig
from cnnjax.recipes.tasks import make_task
from cnnjax.training.errors import ConfigError

SOURCES = ("cnnjax", "torchvision", "timm")
"""The projects whose tensor names a file may have, in the order in which they are tried."""

_IMAGENET = 1000

_ENLARGED = 256 / 224
"""How much photographs are enlarged before the center is cut out, as for published figures."""


def from_weights(
    model: str,
    weights: str | Path,
    source: str | None = None,
    *,
    class_names: Sequence[str] | None = None,
    data_name: str | None = None,
    data_dir: str | None = None,
    read: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
    **overrides: Any,
) -> Network:
    """Returns a trained network, made from a registered name and a safetensors file.

    Args:
        model: registered name, such as "resnet50".
        weights: the file, or "hub:NAME" for published weights by a registered name or repository.
        source: "torchvision", "timm" or "cnnjax"; None: recognized by the tensors' names.
        class_names: a name for each output; None for ImageNet's English ones where the file has
            1,000 outputs, else for those of `data_name`.
        data_name: the dataset that is evaluated, such as "folder:photographs"; None for none. All
            images of a folder without `test` are evaluated. Its classes may be some of the
            network's, given by name, or by synset for ImageNet's.
        data_dir: TFDS data folder; None means TFDS's default.
        read: how examples are read that are not in memory.
        **overrides: see `models.create_model`.

    Raises:
        ConfigError: there is no such network or file, or they do not fit.
    """
    dataset = None if data_name is None else data.dataset(data_name, data_dir)
    try:
        path = weights_path(weights)
        names, labels = _classes(path, dataset, class_names)
        source, net, variables = _load(model, path, source, len(names), overrides)
        info = models.model_info(model, overrides.get("variant"))
    except (ValueError, OSError, ImportError) as error:
        raise ConfigError(f"--model={model} --weights={weights}: {error}") from error
    height, _, channels = info.input_size
    framing = data.Framing(round(height * _ENLARGED), height) if channels == 3 else None
    # The network's statistics are for pixels whose white is `scale`; ours are for white 1.
    mean = tuple(value / info.scale for value in info.mean)
    std = tuple(value / info.scale for value in info.std)
    return Network(
        model=net,
        task=make_task(TaskConfig(), names),
        variables=variables,
        preprocess=data.Preprocess(None, 0, mean, std),
        form=ImageForm(info.input_size, framing),
        title=(model, data_name or "no data"),
        origin=f"{weights} ({source})",
        data_identity=data_name,
        load_examples=(
            None if dataset is None else _loader(dataset, labels, framing, data_dir, read)
        ),
        read=read,
        config={"model": model, "weights": str(weights), "source": source, **overrides},
    )


def _classes(
    path: Path, dataset: data.Dataset | None, class_names: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Returns a name for each output, and the output that belongs to each label of the dataset."""
    names = tuple(class_names or ())
    if not names:
        sizes = _vector_sizes(path)
        if dataset is not None and dataset.num_classes in sizes - {_IMAGENET}:
            names = dataset.class_names if _IMAGENET not in sizes else ()
        names = names or tuple(classes.imagenet_names())
    if dataset is None or dataset.class_names == names:
        return names, tuple(range(len(names)))
    places = {name: place for place, name in enumerate(names)}
    if len(names) == _IMAGENET:
        places |= {synset: place for place, synset in enumerate(classes.imagenet_synsets())}
    unknown = [name for name in dataset.class_names if name not in places]
    if unknown:
        raise ValueError(
            f"the classes {', '.join(unknown)} of {dataset.name} are none of the network's "
            f"{len(names)}, such as {', '.join(names[:3])}; name its folders by these"
        )
    return names, tuple(places[name] for name in dataset.class_names)


def _vector_sizes(path: Path) -> set[int]:
    """Returns the lengths of the file's vectors, the classifier's bias among them."""
    with open_tensors(path) as tensors:
        return {shape[0] for shape in tensors.shapes.values() if len(shape) == 1}


def _loader(
    dataset: data.Dataset,
    labels: Sequence[int],
    framing: data.Framing | None,
    data_dir: str | None,
    read: data.ReadOptions,
) -> Callable[[data.Framing | None], data.Examples]:
    def load(other: data.Framing | None) -> data.Examples:
        splits = list(dataset.split_sizes)
        # A folder without `test` is split by hash for training only: here all its images count.
        if "test" in splits and not dataset.split_by_hash:
            splits = ["test"]
        chosen = None if dataset.image_shape is not None else other or framing
        sets = [
            data.load_examples(
                dataset,
                split,
                data_dir,
                framing=chosen,
                resident=read.resident,
                max_pixels=read.max_pixels,
            )
            for split in splits
        ]
        whole = sets[0] if len(sets) == 1 else data.JoinedExamples(tuple(sets))
        if list(labels) == list(range(len(labels))):
            return whole
        return data.RelabeledExamples(whole, labels)

    return load


def _load(
    model: str, path: Path, source: str | None, num_classes: int, overrides: Mapping[str, Any]
) -> tuple[str, Any, dict[str, Any]]:
    """Loads weights by the tensor names of one source, or of the first that they fit."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    # A file does not name its source: the first one whose names and shapes fit is taken.
    problems = []
    for candidate in (source,) if source else SOURCES:
        try:
            net = _create(model, candidate, num_classes, overrides)
            size = models.model_info(model).input_size if candidate == "cnnjax" else None
            return candidate, net, models.load_pretrained(net, path, candidate, input_size=size)
        except ValueError as error:
            problems.append(f"as {candidate}: {error}")
    raise ValueError("\n".join(problems))


def _create(model: str, source: str, num_classes: int, overrides: Mapping[str, Any]) -> Any:
    """Returns the network in the form that the source's weights need."""
    settings = dict(overrides)
    foreign = source != "cnnjax" and "torchvision" in models.list_variants(model)
    if foreign and "variant" not in settings:
        settings["variant"] = "torchvision"
    return models.create_model(model, num_classes, **settings)
