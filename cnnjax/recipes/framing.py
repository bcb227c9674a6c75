"""From the configuration's keys to how photographs of many sizes get one."""

from cnnjax import data
from cnnjax.recipes.schema import DataConfig


def make_framing(section: DataConfig, dataset: data.Dataset) -> data.Framing | None:
    """Returns how a set's images are framed; None for images that have one size.

    Raises:
        ValueError: a key is missing, does not fit another, or is of no use for this set.
    """
    keys = ("crop", "crop_short_sides", "crop_areas")
    given = [f"data.{key}" for key in keys if getattr(section, key)]
    if dataset.image_shape is not None:
        if given:
            raise ValueError(
                f"{', '.join(given)}: for photographs of many sizes alone; those of {dataset.name} "
                "are all of one: leave out, and use data.resize and data.augmentation"
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
