"""Makes the picture of the documentation's page on domains: python docs/make_domains.py."""

import pathlib

import numpy as np
from matplotlib import figure

from cnnjax import data
from cnnjax.transfer import domains

OUTPUT = pathlib.Path(__file__).parent / "pictures" / "domains.png"

LOOKS = {
    "as it is": (),
    "Inverted()": (domains.Inverted(),),
    "Blurred(1.5)": (domains.Blurred(1.5),),
    "Noisy(0.2)": (domains.Noisy(0.2),),
    "Rotated(45)": (domains.Rotated(45),),
    "Colored()": (domains.Colored(),),
    "Blended()": (domains.Blended(),),
}


def main() -> None:
    """Draws ten test digits in each look, a row for each."""
    digits = data.load_examples(data.dataset("digits"), "test")
    labels = digits.column("label")
    first = [int(np.flatnonzero(labels == digit)[0]) for digit in range(10)]
    large = domains.shift(data.choose(digits, first), domains.Resized(24))
    # A few pixels between the digits of a row.
    canvas = figure.Figure(figsize=(9, 6), facecolor="white")
    places = canvas.subplots(len(LOOKS), 1)
    for axes, (name, transforms) in zip(places, LOOKS.items(), strict=True):
        images = domains.shift(large, *transforms, domains.RGB()).column("image")
        framed = np.pad(images, ((0, 0), (0, 0), (1, 1), (0, 0)), constant_values=255)
        axes.imshow(np.concatenate(list(framed), axis=1), interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_ylabel(name, rotation=0, ha="right", va="center", family="monospace")
        axes.spines[:].set_visible(False)
    canvas.tight_layout(h_pad=0.3)
    canvas.savefig(OUTPUT, dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()
