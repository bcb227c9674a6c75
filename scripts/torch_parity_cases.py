"""The networks that `scripts.check_torch_parity` compares with torchvision's and timm's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

NATIVE, ODD = (224, 224), (231, 197)


@dataclasses.dataclass(frozen=True)
class Case:
    """A network here and in another library.

    Attributes:
        name: registered name.
        library: "torchvision" or "timm".
        theirs: the other library's name.
        variant: of ours.
        sizes: of the images.
        ours, options: overrides of our network, and keyword arguments of theirs.
        heads: for each auxiliary feature, their head and the module whose output it takes, as
            (module, head).
    """

    name: str
    library: str = "torchvision"
    theirs: str = ""
    variant: str | None = "torchvision"
    sizes: tuple[tuple[int, int], ...] = (NATIVE, ODD)
    ours: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    heads: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)


GOOGLENET_HEADS = {"aux1": ("inception4a", "aux1"), "aux2": ("inception4d", "aux2")}
INCEPTION_HEADS = {"aux1": ("Mixed_6e", "AuxLogits")}
# Without these, torchvision downloads the backbone's weights.
SEGMENTATION = {"weights": None, "weights_backbone": None, "aux_loss": True, "num_classes": 21}
INCEPTION_SIZES = ((299, 299), (331, 307))

CASES = (
    Case("alexnet"),
    *(Case(f"vgg{depth}{norm}") for depth in (11, 13, 16, 19) for norm in ("", "_bn")),
    Case("googlenet", heads=GOOGLENET_HEADS),
    Case("googlenet", ours={"aux_heads": False}, options={"aux_logits": False}),
    Case("googlenet", options={"transform_input": True}),
    Case("inception_v3", sizes=INCEPTION_SIZES, heads=INCEPTION_HEADS),
    Case("inception_v3", sizes=INCEPTION_SIZES, options={"transform_input": True}),
    *(Case(f"resnet{depth}") for depth in (18, 34, 50, 101, 152)),
    Case("resnet50", ours={"scan": True}),
    Case("wide_resnet50_2"),
    Case("wide_resnet101_2"),
    Case("resnext50_32x4d"),
    *(Case(f"densenet{depth}") for depth in (121, 161, 169, 201)),
    Case("mobilenet_v2"),
    Case("mobilenet_v2", ours={"scan": True}),
    *(
        Case(f"mobilenet_v2_{percent}", theirs="mobilenet_v2", options={"width_mult": width})
        for percent, width in (("050", 0.5), ("140", 1.4))
    ),
    *(Case(f"squeezenet1_{version}") for version in (0, 1)),
    Case("fcn_resnet50", sizes=((520, 520), ODD), options=SEGMENTATION),
    Case(
        "fcn_resnet50",
        sizes=(ODD,),
        ours={"aux_heads": False},
        options={**SEGMENTATION, "aux_loss": False},
    ),
    # timm's VGG slides its dense layers over larger maps, so only the native size is comparable.
    *(Case(name, "timm", variant=None, sizes=(NATIVE,)) for name in ("vgg11", "vgg16_bn")),
    *(Case(name, "timm") for name in ("resnet34", "resnet50")),
    Case("inception_v3", "timm", sizes=INCEPTION_SIZES, ours={"aux_heads": False}),
    Case("densenet121", "timm"),
    Case("mobilenet_v2", "timm", "mobilenetv2_100"),
    *(Case(f"mobilenet_v2_{p}", "timm", f"mobilenetv2_{p}") for p in ("050", "140")),
    *(Case(f"preact_resnet{d}", "timm", f"resnetv2_{d}", "timm") for d in (50, 101, 152)),
    Case(
        "preact_resnet50",
        "timm",
        "resnetv2_18",
        "timm",
        ours={"bottleneck": False, "blocks": (2, 2, 2, 2)},
    ),
)
