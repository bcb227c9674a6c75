"""Writing weights: in torchvision's names and layouts, or in our own."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnjax import writing
from cnnjax.models.net import Net
from cnnjax.models.weights.files import check_folder
from cnnjax.models.weights.sources import find_table, own_slots, shapes_at
from cnnjax.models.weights.tables import Slot, leaves, slots


def export_torchvision(
    model: Net, variables: Mapping[str, Any], path: str | os.PathLike[str]
) -> None:
    """Writes a network's variables as a state dict that torchvision's network loads strictly.

    In torch: `network.load_state_dict(safetensors.torch.load_file(path))`, where `network` has the
    same number of classes and, for GoogLeNet and Inception-v3, the same `aux_logits`. Batch norms
    get the counter that PyTorch keeps, at 0.

    Args:
        model: the network, in the form that torchvision has.
        variables: its variables.
        path: of the safetensors file to write.

    Raises:
        FileNotFoundError: the folder of `path` does not exist.
        ValueError: torchvision has no such network, or one that computes something else, or the
            variables are for images of another size than torchvision's dense layers.
    """
    table = find_table(model, "torchvision")
    rules = table.rules_for(model)
    places = slots(model, rules, variables)
    usual = {
        slot.name: slot.shape for slot in slots(model, rules, shapes_at(model, table.input_size))
    }
    given = leaves(variables)
    tensors = {}
    for slot in places:
        # A dense layer on flattened maps; classes and the images' channels are free.
        if len(slot.shape) == 2 and slot.shape[0] != usual[slot.name][0]:
            height, width, _ = table.input_size
            raise ValueError(
                f"export_torchvision: {slot.label} has shape {slot.shape}, torchvision's "
                f"{usual[slot.name]}; make the variables with images of {height}x{width}"
            )
        tensors[slot.name] = slot.layout.to_theirs(_array(given, slot))
        if slot.name.endswith(".running_mean"):
            counter = slot.name.removesuffix("running_mean") + "num_batches_tracked"
            tensors[counter] = np.zeros((), np.int64)
    # PyTorch's own tools expect this of their files.
    _write(tensors, path, {"format": "pt"})


def save_pretrained(variables: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes variables under their own paths, for `load_pretrained(..., source="cnnjax")`.

    Args:
        variables: parameters and statistics.
        path: of the safetensors file to write.

    Raises:
        FileNotFoundError: the folder of `path` does not exist.
    """
    given = leaves(variables)
    tensors = {slot.name: _array(given, slot) for slot in own_slots(variables)}
    _write(tensors, path, {"format": "cnnjax"})


def _array(given: Mapping[tuple[str, ...], Any], slot: Slot) -> np.ndarray:
    """Returns the array of a slot; of stacked blocks, one row."""
    array = np.asarray(given[slot.path])
    return array if slot.index is None else array[slot.index]


def _write(
    tensors: Mapping[str, np.ndarray], path: str | os.PathLike[str], metadata: dict[str, str]
) -> None:
    """Writes a safetensors file; none is left if writing fails."""
    import safetensors.numpy

    check_folder(path)
    # The format has no strides, and the library writes an array's memory in its order.
    contiguous = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    # A write that fails must not replace a good file.
    with writing.aside(path) as temporary:
        safetensors.numpy.save_file(contiguous, temporary, metadata)
