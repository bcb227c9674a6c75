"""Wide ResNets: WRN-d-k for CIFAR, and ResNets with wider bottlenecks for ImageNet.

WRN-d-k is a pre-activation ResNet with basic blocks of k times the width, and dropout between the
block's convolutions. wide_resnet50_2 and 101_2 are ResNets whose 3x3 convolutions are twice as
wide, as in torchvision.

Example:
    >>> from cnnjax import models
    >>> net = models.create_model("wrn10_2")
    >>> for feature in models.feature_info(net, (32, 32, 3)):
    ...     print(feature.name, feature.shape)
    stem (32, 32, 16)
    stage1 (32, 32, 32)
    stage2 (16, 16, 64)
    stage3 (8, 8, 128)
    final (8, 8, 128)
    pooled (128,)
"""

from cnnjax.models.info import ModelInfo, Published
from cnnjax.models.preact_resnet import PreActResNet
from cnnjax.models.registry import Entry, register, register_family
from cnnjax.models.resnet import register_imagenet
from cnnjax.models.statistics import CIFAR

_SOURCE = "Zagoruyko and Komodakis, 2016"

# Parameters and multiply-adds as counted; of tables 4 and 5, parameters, and errors on CIFAR-10 and
# CIFAR-100 without dropout.
_FIGURES: dict[tuple[int, int], tuple[int, str | None, str | None, str | None]] = {
    (40, 1): (563_930, None, "0.6 M", None),
    (40, 2): (2_243_546, None, "2.2 M", None),
    (16, 4): (2_748_890, "392.61 M", None, "CIFAR-10 5.02, CIFAR-100 24.03"),
    (40, 4): (8_949_210, None, "8.9 M", "CIFAR-10 4.53, CIFAR-100 21.18"),
    (16, 8): (10_961_370, None, "11.0 M", "CIFAR-10 4.27, CIFAR-100 20.43"),
    (22, 8): (17_158_106, None, "17.2 M", None),
    (28, 10): (
        36_479_194,
        "5,243.33 M",
        "36.5 M",
        "CIFAR-10 4.00, CIFAR-100 19.25; with dropout 0.3: 3.89, 18.85",
    ),
}


def wrn_entry(depth: str, width: str) -> Entry:
    """Returns the network WRN-depth-width.

    Args:
        depth: number of layers, as text: 6n + 4.
        width: factor of the widths, as text: at least 1.

    Raises:
        ValueError: the depth is not 6n + 4, or the width is 0.
    """
    layers, factor = int(depth), int(width)
    if layers < 10 or (layers - 4) % 6 or factor < 1:
        raise ValueError(
            f"wrn{depth}_{width}: the depth must be 6n + 4 (10, 16, 22, 28, 34, 40, ...) and the "
            f"width at least 1, got {depth} and {width}"
        )
    figures = _FIGURES.get((layers, factor), (None, None, None, None))
    parameters, multiply_adds, printed, errors = figures
    info = ModelInfo(
        f"wrn{layers}_{factor}",
        _SOURCE,
        input_size=(32, 32, 3),
        parameters=parameters,
        multiply_adds=multiply_adds,
        errors=errors,
        published=Published("table 4", printed) if printed else None,
        **CIFAR,
    )
    settings = {
        "num_classes": 10,
        "blocks": ((layers - 4) // 6,) * 3,
        "widths": (16 * factor, 32 * factor, 64 * factor),
        "bottleneck": False,
        "stem": "cifar",
        "stem_width": 16,
    }
    return Entry(PreActResNet, settings, info, {})


for _depth, _width in _FIGURES:
    _entry = wrn_entry(str(_depth), str(_width))
    register(PreActResNet, _entry.info, **_entry.settings)
register_family(r"wrn(?P<depth>\d+)_(?P<width>\d+)", "wrn<6n+4>_<width>", wrn_entry)

register_imagenet(
    "wide_resnet50_2",
    68_883_240,
    "11.398 G",
    source=_SOURCE,
    errors="top-1/top-5 21.9/5.8 (one crop)",
    blocks=(3, 4, 6, 3),
    bottleneck=True,
    group_width=128,
)
register_imagenet(
    "wide_resnet101_2",
    126_886_696,
    "22.753 G",
    source=f"{_SOURCE}; torchvision",
    blocks=(3, 4, 23, 3),
    bottleneck=True,
    group_width=128,
)
