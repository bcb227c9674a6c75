"""A segmentation's part of a report, and its pictures."""

import numpy as np

from cnnjax import data, tasks
from cnnjax.reports.task_sections import draw_section
from cnnjax.tasks.section_parts import Pictures
from cnnjax.tasks.sections import Evaluated
from cnnjax.tasks.segmentation.drawing import mask_png, overlaid, palette, panels
from tests.tasks.segmentation.pixels import NAMES, confusion_of, ious_of, mean, random_batch

TASK = tasks.Segmentation(NAMES)


def evaluated(images=6, pad=0):
    logits, masks = random_batch(images=images)
    preprocess = data.Preprocess(pad=pad)
    predictions = logits.argmax(axis=-1).astype(np.uint8)
    margin = ((0, 0), (pad, pad), (pad, pad))
    return Evaluated(
        predictions=np.pad(predictions, margin),
        parts={"mask": masks},
        images=np.repeat(40 * np.minimum(masks, 3)[..., None], 3, axis=3).astype(np.uint8),
        positions=np.arange(images) + 10,
        framed=preprocess.framed({"image": "image", "mask": "mask"}),
    )


def test_figures_are_those_of_the_definitions_and_do_not_depend_on_padding():
    plain, padded = TASK.report_sections(evaluated()), TASK.report_sections(evaluated(pad=2))
    assert plain.metrics == padded.metrics
    logits, masks = random_batch(images=6)
    predicted = logits.argmax(axis=-1)
    assert np.isclose(plain.metrics["mean_iou"], mean(ious_of(predicted, masks)))
    per_image = [mean(ious_of(p, m)) for p, m in zip(predicted, masks, strict=True)]
    assert np.isclose(plain.metrics["mean_iou_per_image"], np.mean(per_image))
    counts = confusion_of(predicted, masks)
    assert np.isclose(plain.metrics["pixel_accuracy"], np.trace(counts) / counts.sum())


def test_the_worst_images_come_first_and_a_page_can_draw_them():
    report = TASK.report_sections(evaluated())
    logits, masks = random_batch(images=6)
    predicted = logits.argmax(axis=-1)
    ious = [mean(ious_of(p, m)) for p, m in zip(predicted, masks, strict=True)]
    (worst,) = report.sections[1].parts
    assert isinstance(worst, Pictures)
    labels = [picture.label for picture in worst.pictures]
    assert labels == [f"test image {place + 10}" for place in np.argsort(ious)]
    for section in report.sections:
        assert draw_section(section)["groups"]
    assert len(TASK.pictures(evaluated(), 2)) == 2


def test_an_image_without_a_pixel_that_counts_is_left_out():
    found = evaluated(3)
    found.parts["mask"][1] = 255
    (worst,) = TASK.report_sections(found).sections[1].parts
    assert isinstance(worst, Pictures)
    assert {picture.label for picture in worst.pictures} == {"test image 10", "test image 12"}


def test_the_palette_is_that_of_pascal_voc():
    """Colors of the development kit's table: aeroplane, bicycle, bird and void."""
    colors = {n: tuple(palette()[n].tolist()) for n in (0, 1, 2, 3, 255)}
    assert colors == {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        3: (128, 128, 0),
        255: (224, 224, 192),
    }


def test_panels_show_errors_and_pixels_that_do_not_count():
    truth = np.array([[0, 1], [2, 255]], np.uint8)
    guess = np.array([[0, 2], [2, 1]], np.uint8)
    sheet = panels(np.zeros((2, 2, 1), np.uint8), truth, guess, truth < 3)
    half = (sheet.shape[0] - 4) // 2
    error = sheet[half + 4 :, half + 4 :]
    quarter = half // 2
    assert error[0, 0].tolist() == [0, 0, 0]
    assert error[0, quarter].tolist() == [230, 30, 30]
    assert error[quarter, quarter].tolist() == [40, 70, 150]
    assert mask_png(truth).startswith(b"\x89PNG")
    plain = overlaid(np.full((2, 2, 3), 0.5), np.zeros((2, 2), np.uint8))
    assert (plain == 128).all()
