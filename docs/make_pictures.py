"""Makes the pictures of the documentation's page on analysis: `python docs/make_pictures.py`."""

import pathlib
import sys

import jax
import jax.numpy as jnp

from cnnjax import ops
from cnnjax.analysis.complexity import complexity_chart, complexity_points
from cnnjax.analysis.plots import plot_depth, plot_field_stack
from cnnjax.analysis.signals import depth_study, initializers
from cnnjax.reports.complexity_page import write_complexity_page

FOLDER = pathlib.Path(__file__).parent / "pictures"

ACTIVATIONS = {
    "ReLU": jax.nn.relu,
    "tanh": jnp.tanh,
    "1.7159 tanh(2x/3)": ops.scaled_tanh,
    "sigmoid": jax.nn.sigmoid,
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
        "initializers": plot_depth(
            {
                name: depth_study(jax.nn.relu, initializer, jax.random.key(0))
                for name, initializer in initializers().items()
            },
            "Ten dense ReLU layers of 256 units, by initialiser",
        ),
    }
    for name, figure in pictures.items():
        figure.savefig(FOLDER / f"{name}.png", dpi=90)
        print(FOLDER / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())
