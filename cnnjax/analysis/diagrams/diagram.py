"""Any Flax module, drawn as a graph."""

from collections.abc import Sequence
from typing import Any

import flax.linen as linen
import jax.numpy as jnp

from cnnjax.analysis.diagrams.blocks import Block, blocks, box_count, depth_of
from cnnjax.analysis.diagrams.places import place
from cnnjax.analysis.diagrams.repeats import fold_repeats
from cnnjax.analysis.diagrams.svg import svg_text
from cnnjax.analysis.graph.network import NetworkGraph
from cnnjax.analysis.graph.read import network_graph

MOST_BOXES = 110
"""Without a depth, modules are folded until no more boxes than these are left."""


def diagram(
    model: linen.Module,
    input_shape: Sequence[int],
    *,
    depth: int | None = None,
    fold: bool = True,
    name: str | None = None,
    dtype: Any = jnp.float32,
    variables: Any = None,
    **apply_arguments: Any,
) -> str:
    """Draws any Flax module as a graph: layers, branches and joins, with shapes and parameters.

    The picture is read from shapes; nothing is computed. It goes from the top to the bottom, suits
    light and dark pages, and shows the layers' names and variables where the pointer rests.

    Args:
        model: any Flax module that takes one array of images.
        input_shape: height, width and channels of an image, without the batch; or the length of a
            vector.
        depth: how many levels of modules are drawn: with 1, each module that the model calls is one
            box. None draws as many as give a picture that can be taken in.
        fold: whether equal blocks that follow each other are drawn once, with their number.
        name: the model's name in the picture; None for the name of its class.
        dtype: dtype of the images.
        variables: the model's variables or their shapes; None initializes by shapes.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        SVG text, for a file of its own or as part of an HTML page.

    Raises:
        MissingPackage: a package of the extra `[report]` is missing.
        TypeError: `model` is no Flax module, or `__call__` needs arguments that were not given.
        ValueError: the depth is not positive, the shape is not three positive integers or one, the
            model refuses it, or no output depends on the input.

    Example:
        >>> from cnnjax import analysis, models
        >>> text = analysis.diagram(models.create_model("lenet5"), (32, 32, 1))
        >>> text[:4], "28×28×6" in text
        ('<svg', True)
    """
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 1):
        raise ValueError(
            f"diagram: depth {depth!r} must be a positive integer, the number of levels of modules "
            "that are drawn, or None to choose one"
        )
    graph = network_graph(model, input_shape, dtype=dtype, variables=variables, **apply_arguments)
    root = drawn(graph, depth, fold=fold)
    root.name = name or root.name
    return svg_text(graph, place(root))


def drawn(graph: NetworkGraph, depth: int | None = None, *, fold: bool = True) -> Block:
    """Returns the boxes and blocks that are drawn of a network.

    Args:
        graph: the network.
        depth: as in `diagram`.
        fold: as in `diagram`.
    """
    deepest = depth_of(graph)
    for level in [depth] if depth else range(deepest, 0, -1):
        root = blocks(graph, level)
        if fold:
            fold_repeats(root)
        if level == depth or level == 1 or box_count(root) <= MOST_BOXES:
            return root
    raise AssertionError("the loop ends at level 1")
