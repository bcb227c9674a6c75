"""Images with boxes as published files have them: VOC's XML and COCO's JSON."""

from cnnjax.data.annotations.annotated import AnnotatedImage, AnnotatedObject
from cnnjax.data.annotations.box_images import from_annotations
from cnnjax.data.annotations.coco import read_coco
from cnnjax.data.annotations.splits import coco_splits, voc_splits
from cnnjax.data.annotations.voc import read_voc

__all__ = [
    "AnnotatedImage",
    "AnnotatedObject",
    "coco_splits",
    "from_annotations",
    "read_coco",
    "read_voc",
    "voc_splits",
]
