"""The page that shows a network without a run: what it costs, and what it predicts of photos."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from cnnjax import inference
from cnnjax.analysis.cost.summarize import summarize
from cnnjax.analysis.cost.summary import Summary
from cnnjax.reports.behavior_section import cost_section
from cnnjax.reports.formats import compact
from cnnjax.reports.network_section import activation_section, diagram_section, kernel_section
from cnnjax.reports.photo_section import named_bars, photo_section
from cnnjax.reports.run_figures import parameter_figure
from cnnjax.reports.run_record import flat_items
from cnnjax.reports.template import check_installed, fill
from cnnjax.tasks.sections import Example, Figure
from cnnjax.writing import write_text


def write_network_page(
    network: inference.Network, images: Mapping[str, np.ndarray], output: str | os.PathLike
) -> pathlib.Path:
    """Writes a page of a trained network and a few images: one file, without links outside it.

    Args:
        network: the network, from a run or from a file of weights.
        images: name, such as that of a file, to image as `network.form` describes it: uint8
            [height, width, channels].
        output: the HTML file to write.

    Returns:
        The path of the page.

    Raises:
        MissingPackage: a package of the extra `[report]` is missing.
        ConfigError: `output` cannot be written.
        RunFolderError: the disk is full.
        ValueError: there is no image, or one has not the shape and dtype that the network takes.
    """
    check_installed()
    path = inference.check_output(pathlib.Path(output), [".html"])
    _check_images(images, network.form.shape)
    page = network_page(network, images)
    with inference.output_errors(path):
        write_text(path, page)
    return path


def network_page(network: Any, images: Mapping[str, np.ndarray]) -> str:
    """Returns the page as text.

    Args:
        network: with `task`, `model`, `variables`, `title`, `origin`, `config`,
            `inputs(images)` and `predict(images)`.
        images: name to image, as in `write_network_page`.
    """
    stored = np.stack(list(images.values()))
    inputs = np.asarray(network.inputs(stored))
    model, variables = network.model, network.variables
    summary = summarize(model, inputs.shape[1:], variables=variables)
    predictions = network.predict(stored)
    # A prediction may consist of several arrays.
    first = jax.tree.map(lambda leaf: leaf[0], predictions)
    bars = named_bars(network.task, first)
    example = Example(0, next(iter(images)), bars, "prediction", "probabilities" if bars else "")
    return fill(
        "network.html",
        title=network.title[0],
        origin=network.origin,
        figures=_figures(variables, inputs, summary),
        photos=photo_section(network, images, inputs, predictions),
        diagram=diagram_section(model, variables, inputs[:1], network.title[0]),
        kernels=kernel_section(model, variables, inputs[:1]),
        activations=activation_section(model, variables, inputs[:1], stored[0], example),
        cost=cost_section(summary),
        config=flat_items(network.config),
    )


def _figures(variables: Any, inputs: np.ndarray, summary: Summary) -> tuple[Figure, ...]:
    height, width, channels = inputs.shape[1:]
    colors = {1: "gray", 3: "in color"}.get(channels, f"{channels} channels")
    return (
        parameter_figure(variables),
        Figure("Multiply-adds", compact(summary.multiply_adds), "for one image"),
        Figure("Image", f"{height} × {width}", f"pixels, {colors}"),
    )


def _check_images(images: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> None:
    if not images:
        raise ValueError("images: none was given; give one or more by name")
    for name, image in images.items():
        if np.shape(image) != tuple(shape) or np.asarray(image).dtype != np.uint8:
            raise ValueError(
                f"images: {name} has shape {np.shape(image)} and dtype {np.asarray(image).dtype}; "
                f"the network takes uint8 {tuple(shape)}, as inference.read_images gives them for "
                "network.form"
            )
