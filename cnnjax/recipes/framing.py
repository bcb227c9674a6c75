"""How photographs of many sizes get one size, from the configuration's keys."""

from cnnjax import data
from cnnjax.recipes.schema import DataConfig


def make_framing(section: DataConfig, dataset: data.Dataset) -> data.Framing | None:
    """Returns how a dataset's images are framed; None for images of one size.

    Args:
        section: the configuration's section `data`.
        dataset: the dataset.

    Raises:
        ValueError: a key is missing, does not fit another, or has no use for this dataset.
    """
    keys = ("crop", "crop_short_sides", "crop_areas")
    given = [f"data.{key}" for key in keys if getattr(section, key)]
    if dataset.image_shape is not None:
        if given:
            raise ValueError(
                f"{', '.join(given)}: only for photographs of many sizes; the images of "
                f"{dataset.name} have one size: leave out, and use data.resize and "
                "data.augmentation"
            )
        return None
    if section.resize is None:
        raise ValueError(
            f"data.resize: the images of {dataset.name} have many sizes; give the length in pixels "
            "to which their shorter sides are resized, and data.crop, the side of the square that "
            "is cut from them"
        )
    try:
        return data.Framing(
            section.resize,
            section.crop or section.resize,
            _pair("crop_short_sides", section.crop_short_sides),
            _pair("crop_areas", section.crop_areas),
        )
    except ValueError as error:
        raise ValueError(f"data.crop: {error}") from None


def _pair(name: str, values: tuple) -> tuple | None:
    if len(values) not in (0, 2):
        raise ValueError(f"{name}: {values} was given; give two values, lowest and highest")
    return values or None
