"""Tiny folders of VOC's and COCO's form."""

import json

import numpy as np
from PIL import Image

OBJECT = """<object><name>{name}</name><difficult>0</difficult>
<bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox>
<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>
</part></object>"""

ANNOTATION = """<annotation><filename>elsewhere.jpg</filename>
<size><width>{width}</width><height>{height}</height><depth>3</depth></size>
{objects}</annotation>"""


def annotation(objects, width=20, height=16):
    """Returns XML of objects (name, xmin, ymin, xmax, ymax)."""
    listed = "".join(
        OBJECT.format(name=name, left=left, top=top, right=right, bottom=bottom)
        for name, left, top, right, bottom in objects
    )
    return ANNOTATION.format(width=width, height=height, objects=listed)


def image_file(path, height=16, width=20):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(path)


def write_voc(folder, splits):
    """Writes a folder; `splits` maps a list's name to images, each a list of objects."""
    for split, images in splits.items():
        names = [f"{split}_{number}" for number in range(len(images))]
        lists = folder / "ImageSets" / "Main"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / f"{split}.txt").write_text("\n".join(names) + "\n")
        for name, objects in zip(names, images, strict=True):
            image_file(folder / "JPEGImages" / f"{name}.png")
            (folder / "Annotations").mkdir(exist_ok=True)
            (folder / "Annotations" / f"{name}.xml").write_text(annotation(objects))
    return folder


def coco_content(**changes):
    """Returns the content of a COCO file of two images with three objects."""
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 20, "height": 16},
            {"id": 3, "file_name": "sub/b.png", "width": 20, "height": 16},
        ],
        "categories": [{"id": 5, "name": "dog"}, {"id": 2, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 5, "bbox": [2, 3, 4.5, 6], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 2, "bbox": [0, 0, 20.01, 16], "iscrowd": 0},
            {"id": 3, "image_id": 3, "category_id": 2, "bbox": [0, 0, 1, 1], "iscrowd": 1},
        ],
        **changes,
    }


def write_coco(folder, content=None, split="train"):
    """Writes annotations/instances_SPLIT.json and the images; returns the file."""
    for name in ("a.png", "sub/b.png"):
        image_file(folder / split / name)
    file = folder / "annotations" / f"instances_{split}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(coco_content() if content is None else content))
    return file
