"""Makes the diagrams of networks and the pictures of windows in the documentation.

python docs/make_diagrams.py [NAME ...]

NAME limits the networks; without one, all families and all windows are drawn.
"""

import pathlib
import sys

import numpy as np

from cnnjax import analysis, models
from cnnjax.writing import write_text

FOLDER = pathlib.Path(__file__).parent / "pictures"

NETWORKS = (
    *("lenet5", "lenet5_1998", "alexnet", "zfnet", "vgg16", "googlenet", "inception_v3"),
    *("resnet20_cifar", "resnet50", "preact_resnet164_cifar", "wrn28_10", "resnext50_32x4d"),
    *("fractalnet20", "densenet121", "mobilenet_v2", "squeezenet1_1", "simple_cnn"),
    *("unet", "segnet", "fcn8s"),
)
"""A network of each family."""

IMAGE = np.array(
    [[1, 2, 0, 1, 3], [0, 1, 3, 2, 1], [2, 0, 1, 1, 0], [1, 3, 2, 0, 2], [0, 1, 1, 2, 1]]
)
EDGES = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]


def windows() -> dict[str, str]:
    """Returns the pictures of convolution, padding, pooling and receptive fields, by name."""
    small = IMAGE[:4, :4]
    return {
        "convolution": analysis.draw_convolution(IMAGE, EDGES, padding=1),
        "convolution_stride_2": analysis.draw_convolution(
            IMAGE, EDGES, strides=2, padding=1, padding_mode="reflect"
        ),
        "convolution_dilated": analysis.draw_convolution(IMAGE, [[1, -1], [2, 1]], dilation=2),
        "padding_modes": analysis.draw_padding(small),
        "strides": analysis.draw_strides([1, 3, 2, 5, 4, 0, 1], [1, 0, -1]),
        "max_pooling": analysis.draw_pooling(small, 2),
        "average_pooling_overlapping": analysis.draw_pooling(IMAGE, 3, strides=2, kind="avg"),
        "unpooling": analysis.draw_unpooling(small),
        "field_three_3x3": analysis.draw_receptive_field((3, 3, 3)),
        "field_lenet5": analysis.draw_receptive_field((5, 2, 5, 2), strides=(1, 2, 1, 2)),
        "field_dilated": analysis.draw_receptive_field((3, 3, 3), dilations=(1, 2, 4)),
    }


def main(names: list[str]) -> None:
    """Writes the pictures into docs/pictures/diagrams and docs/pictures/windows.

    Args:
        names: networks to draw; all families, and the windows, if there is none.
    """
    pictures = {} if names else {f"windows/{name}": text for name, text in windows().items()}
    for name in names or NETWORKS:
        size = models.model_info(name).input_size
        pictures[f"diagrams/{name}"] = analysis.diagram(models.create_model(name), size, name=name)
    for name, text in pictures.items():
        path = FOLDER / f"{name}.svg"
        path.parent.mkdir(exist_ok=True)
        write_text(path, text)
        print(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
