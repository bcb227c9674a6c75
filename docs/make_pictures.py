"""Makes the pictures of the documentation's page on analysis.

python docs/make_pictures.py [RUN]

The pictures of what a network looks at need RUN, the folder of a run on the digits.
"""

import pathlib
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import inference, ops
from cnnjax.analysis import activations
from cnnjax.analysis.behavior.depth_study import depth_study, initializers
from cnnjax.analysis.behavior.invariance import Change, invariance_curves
from cnnjax.analysis.cost.complexity import complexity_chart, complexity_points
from cnnjax.analysis.looks.attribution import grad_cam, occlusion_map, saliency
from cnnjax.analysis.looks.class_image import class_images
from cnnjax.analysis.looks.deconvnet import deconvnet
from cnnjax.analysis.plots.depth import plot_depth, plot_depth_grid
from cnnjax.analysis.plots.plots import plot_field_stack, plot_gallery, plot_invariance
from cnnjax.reports.complexity_page import write_complexity_page

FOLDER = pathlib.Path(__file__).parent / "pictures"

ACTIVATIONS = {
    "ReLU": jax.nn.relu,
    "tanh": jnp.tanh,
    "1.7159 tanh(2x/3)": ops.scaled_tanh,
    "sigmoid": jax.nn.sigmoid,
}


def looking(workdir: str) -> dict[str, Any]:
    """Returns pictures of what a network looks at, and of its accuracy on changed images.

    Args:
        workdir: the folder of a run on the digits.
    """
    network = inference.load(workdir)
    model, variables = network.model, network.variables
    labels = network.examples.column("label")
    images = np.asarray(network.inputs(network.examples.column("image")))
    chosen = np.array([int(np.flatnonzero(labels == digit)[0]) for digit in (0, 3, 5, 8)])
    classes, inputs = labels[chosen], images[chosen]
    layer = "c3"
    busiest = activations(model, variables, inputs, names=[layer])[layer].max((1, 2)).argmax(1)
    projections = [
        deconvnet(model, variables, image[None], layer, int(channel))[0]
        for image, channel in zip(inputs, busiest, strict=True)
    ]
    ideas, _ = class_images(
        model,
        variables,
        np.repeat(inputs.mean(0, keepdims=True), 4, axis=0),
        classes,
        learning_rate=0.03,
        decay=0.02,
        blur=1.2,
        shift=2,
        key=jax.random.key(0),
    )
    columns = (
        ("image", inputs),
        ("saliency", saliency(model, variables, inputs, classes)),
        ("Grad-CAM", grad_cam(model, variables, inputs, classes, layer)),
        ("occlusion", -occlusion_map(model, variables, inputs, classes, patch=6, stride=2)),
        (f"deconvnet of {layer}", projections),
        ("class image", ideas),
    )
    names = [str(label) for label in classes]
    rows = [[pictures[row] for _, pictures in columns] for row in range(len(chosen))]
    changes: dict[Change, Any] = {
        "shift": np.arange(-8.0, 9.0, 2.0),
        "rotation": np.arange(-60.0, 61.0, 15.0),
        "scale": np.array([0.5, 0.6, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5]),
    }
    fill = float(images.min())
    curves = invariance_curves(model, variables, images, labels, changes, fill=fill)
    return {
        "looking": plot_gallery(rows, [name for name, _ in columns], names),
        "invariance": plot_invariance(curves),
    }


def main() -> None:
    """Writes every picture into docs/pictures."""
    FOLDER.mkdir(exist_ok=True)
    points = {measure: complexity_points(measure) for measure in ("top-1", "top-5", "CIFAR-10")}
    write_complexity_page(FOLDER / "complexity.html", points)
    pictures = {
        "complexity": complexity_chart(points["top-1"]),
        "three_3x3": plot_field_stack({"three 3x3": (3, 3, 3), "one 7x7": (7,)}),
        "activations": plot_depth(
            {
                name: depth_study(activation, initializers()["LeCun"], jax.random.key(0))
                for name, activation in ACTIVATIONS.items()
            },
            "Ten dense layers of 256 units, weights of standard deviation 1/16",
        ),
        "combinations": plot_depth_grid(
            {
                initializer: {
                    name: depth_study(activation, make, jax.random.key(0))
                    for name, activation in ACTIVATIONS.items()
                }
                for initializer, make in initializers().items()
            },
            "Ten dense layers of 256 units: what is left at the end",
        ),
        "initializers": plot_depth(
            {
                name: depth_study(jax.nn.relu, initializer, jax.random.key(0))
                for name, initializer in initializers().items()
            },
            "Ten dense ReLU layers of 256 units, by initializer",
        ),
    }
    if sys.argv[1:]:
        pictures |= looking(sys.argv[1])
    for name, figure in pictures.items():
        figure.savefig(FOLDER / f"{name}.png", dpi=90)
        print(FOLDER / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())
