"""Arrays, sources and generators of users."""

import numpy as np
import pytest

from cnnjax import data

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 7, 3)).astype(np.uint8)
LABELS = np.arange(6)


class Source:
    def __init__(self, examples):
        self.examples = examples

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, position):
        return self.examples[position]


@pytest.mark.parametrize(
    ("name", "given", "dtype", "kind"),
    [
        ("image", IMAGES, np.uint8, "image"),
        ("image", IMAGES.astype(np.float64), np.float32, "image"),
        ("image", IMAGES.astype(np.float16), np.float32, "image"),
        ("label", LABELS, np.int32, "label"),
        ("label", LABELS.astype(np.uint8), np.int32, "label"),
        ("label", LABELS > 2, np.int32, "label"),
        ("label", LABELS.tolist(), np.int32, "label"),
        ("mask", IMAGES[..., 0], np.uint8, "mask"),
        ("mask", IMAGES[..., 0] > 9, np.uint8, "mask"),
        ("mask", IMAGES[..., 0].astype(np.int64), np.int32, "mask"),
        ("points", np.ones((6, 4, 2)), np.float32, "points"),
        ("boxes", np.ones((6, 3, 4), int), np.float32, "boxes"),
        ("center", np.ones((6, 2)), np.float32, "value"),
        ("age", LABELS, np.float32, "value"),
    ],
)
def test_each_part_gets_the_type_of_its_kind(name, given, dtype, kind):
    examples = data.from_arrays(**{name: given})
    assert (examples.spec[name].dtype, examples.spec[name].kind) == (dtype, kind)
    np.testing.assert_array_equal(examples.column(name), np.asarray(given, np.float64))


def test_kinds_can_be_given_for_other_names():
    examples = data.from_arrays(
        left=IMAGES, right=IMAGES, kinds={"left": "image", "right": "image"}
    )
    assert examples.parts_of_kind("image") == ["left", "right"]


def test_boxes_are_all_real_unless_they_are_counted():
    boxes = np.ones((6, 3, 4))
    assert data.from_arrays(boxes=boxes).column("boxes_count").tolist() == [3] * 6
    counted = data.from_arrays(boxes=boxes, boxes_count=[0, 1, 2, 3, 0, 1])
    assert counted.spec["boxes_count"].kind == "count"
    assert counted.column("boxes_count").tolist() == [0, 1, 2, 3, 0, 1]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, r"parts: there are none"),
        ({"image": IMAGES[:0]}, r"parts: there are no examples"),
        ({"image": IMAGES, "label": LABELS[:5]}, r"image has 6, label has 5"),
        (
            {"image": IMAGES[..., 0]},
            r"images \(6, 8, 7\) have no .*give image\[\.\.\., None\]",
        ),
        ({"image": IMAGES[0, 0]}, r"image: \(7, 3\) was given; images are \[examples, height"),
        (
            {"image": IMAGES.transpose(0, 3, 1, 2)},
            r"\(6, 3, 8, 7\) look .*\(NCHW\).*give image.transpose\(0, 2, 3, 1\)",
        ),
        ({"image": np.zeros((9, 1, 28, 28))}, r"look as if their channels came first"),
        ({"image": IMAGES.astype(int)}, r"images of int64 .*give image.astype\(np.uint8\)"),
        ({"image": IMAGES > 5}, r"images of bool .*give image.astype\(np.uint8\)"),
        ({"label": LABELS * 1.0}, r"label: float64 .*give label.astype\(np.int32\)"),
        ({"label": LABELS + 0.5}, r"label: float64 .*kinds=\{'label': 'value'\}"),
        ({"label": LABELS[:, None]}, r"label: \(6, 1\) .*give label.reshape\(-1\)"),
        ({"label": np.eye(6)}, r"label: \(6, 6\) .*give label.argmax\(axis=1\)"),
        ({"label": LABELS + 2**31}, r"label: labels from .* do not fit int32"),
        (
            {"label": ["a", "b"]},
            r"label: an array of <U1 was given; parts are arrays of real numbers",
        ),
        ({"label": 3}, r"label: a single number was given"),
        ({"mask": IMAGES[..., :1]}, r"mask: .*give mask\[\.\.\., 0\]"),
        ({"mask": LABELS}, r"mask: \(6,\) .*\[examples, height, width\]"),
        ({"mask": IMAGES[..., 0] + 0.5}, r"mask: float64 .*masks are whole numbers"),
        (
            {"image": IMAGES, "mask": IMAGES[:, 1:, :, 0]},
            r"images and masks have one size, but there are image 8x7, mask 7x7",
        ),
        ({"boxes": np.ones((6, 4))}, r"boxes: .*give boxes\[:, None\]"),
        ({"boxes": np.ones((6, 3, 5))}, r"expected \[examples, maximum, 4\]: rows of \(top"),
        ({"points": np.ones((6, 3, 3))}, r"expected \[examples, maximum, 2\]: rows of \(row"),
        ({"boxes": np.ones((6, 3, 4)), "boxes_count": [4] * 6}, r"boxes_count: 4 to 4 .*up to 3"),
        ({"weight": np.ones(6)}, r"weight: a batch has its own weight and position"),
        ({"x": IMAGES, "kinds": {"x": "picture"}}, r"kinds: 'picture' of the part 'x' is unknown"),
        ({"x": IMAGES, "kinds": {"y": "image"}}, r"kinds: 'y' is no part; the parts are 'x'"),
    ],
)
def test_a_wrong_part_is_refused_with_advice(parts, message):
    with pytest.raises(data.DataError, match=message):
        data.from_arrays(**parts)


def test_a_source_of_tuples_gives_named_parts():
    pairs = [(image, int(label)) for image, label in zip(IMAGES, LABELS, strict=True)]
    examples = data.from_source(Source(pairs))
    expected = data.from_arrays(image=IMAGES, label=LABELS)
    assert examples.spec == expected.spec
    assert examples.arrays is None
    for name in ("image", "label"):
        np.testing.assert_array_equal(examples.column(name), expected.column(name))


def test_a_source_of_dictionaries_gives_its_own_names():
    rows = [{"photo": image, "age": 3.5} for image in IMAGES]
    examples = data.from_source(Source(rows), kinds={"photo": "image"})
    assert examples.spec["photo"].kind == "image"
    assert examples.read(2)["age"] == np.float32(3.5)


def test_an_example_of_another_form_is_named_by_its_position():
    pairs = [(image, 0) for image in IMAGES]
    pairs[4] = (IMAGES[4][1:], 0)
    examples = data.from_source(Source(pairs))
    with pytest.raises(data.DataError, match=r"example 4: image is uint8 \[7, 7, 3\], expected"):
        examples.read(4)
    spec = data.from_arrays(image=IMAGES[:, 1:], label=LABELS).spec
    with pytest.raises(data.DataError, match=r"example 0: image is uint8 \[8, 7, 3\], expected"):
        data.from_source(Source(pairs), spec).read(0)


def test_an_example_of_other_parts_is_named():
    examples = data.from_source(Source([{"image": IMAGES[0]}, {"image": IMAGES[0], "age": 1}]))
    with pytest.raises(data.DataError, match=r"example 1: it has the parts image, age, expected"):
        examples.read(1)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (iter([]), r"source: list_iterator has no __len__; .*data.from_generator"),
        (Source([]), r"source: there are no examples"),
        (Source([IMAGES[0]]), r"example 0: ndarray was given; give a dictionary .* of 2, image"),
        (Source([(1, 2, 3)]), r"example 0: tuple of 3 was given"),
        (Source([(IMAGES[0].transpose(2, 0, 1), 1)]), r"example 0, after an axis .*NCHW"),
    ],
)
def test_a_source_that_cannot_be_read_is_refused(source, message):
    with pytest.raises(data.DataError, match=message):
        data.from_source(source)


def test_the_identity_of_a_source_has_its_class_and_version():
    pairs = Source([(image, 0) for image in IMAGES])
    first, second = (data.from_source(pairs, version=v).identity() for v in ("1", "2"))
    assert first["source"] == f"{__name__}.Source"
    assert first != second


def test_an_example_that_a_source_cannot_read_is_left_out_of_a_batch():
    class Torn(Source):
        def __getitem__(self, position):
            if position == 1:
                raise OSError("no such file")
            return super().__getitem__(position)

    examples = data.from_source(Torn([(image, 1) for image in IMAGES]))
    reader = data.Reader(examples, data.EvaluationOrder(6, 4))
    first, second = reader.batches()
    assert first["weight"].tolist() == [1, 0, 1, 1]
    assert second["weight"].tolist() == [1, 1, 0, 0]
    assert first["label"].tolist() == [1, 0, 1, 1]
    assert (first["image"][1] == 128).all()
    assert reader.damaged == {"example 1": "no such file"}


def test_a_generator_is_read_once_into_arrays():
    def pairs():
        yield from zip(IMAGES, LABELS, strict=True)

    examples = data.from_generator(pairs())
    assert examples.identity() == data.from_arrays(image=IMAGES, label=LABELS).identity()


def test_a_generator_of_several_forms_is_refused():
    with pytest.raises(data.DataError, match=r"example 1: its parts are .*\(7, 7, 3\)"):
        data.from_generator([(IMAGES[0], 0), (IMAGES[0][1:], 0)])
    with pytest.raises(data.DataError, match=r"examples: there are none"):
        data.from_generator(())


def test_boxes_have_a_class_each():
    boxes, labels = np.zeros((2, 3, 4)), np.array([[1, 2, -1], [0, -1, -1]])
    examples = data.from_arrays(boxes=boxes, boxes_label=labels)
    assert examples.spec["boxes_label"].kind == "labels"
    np.testing.assert_array_equal(examples.arrays["boxes_label"], labels)
    assert examples.arrays["boxes_label"].dtype == np.int32
    with pytest.raises(data.DataError, match=r"needs \[examples, 3\], a class for each row"):
        data.from_arrays(boxes=boxes, boxes_label=labels[:, :2])
    with pytest.raises(data.DataError, match="a class for each row of boxes"):
        data.from_arrays(boxes=boxes, boxes_label=labels[:, 0])
    # Without boxes of that name it is a value.
    assert data.from_arrays(faces_label=labels).spec["faces_label"].kind == "value"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"boxes": [[[0, 0, 2, 3], [6, 6, 1, 1]]]}, r"row 1 of example 0 is \[6, 6, 1, 1\]; rows"),
        ({"boxes": [[[np.nan] * 4]]}, "row 0 of example 0 is .* finite"),
        ({"points": [[[1.0, np.inf]]]}, r"points: row 0 of example 0 is \[1.0, inf\]"),
        (
            {"v": np.full(1, 1 + 2j)},
            "v: an array of complex128 was given; parts are arrays of real",
        ),
        ({"v": np.zeros(1, "datetime64[s]")}, "v: an array of datetime64"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(parts, message):
    with pytest.raises(data.DataError, match=message):
        data.from_arrays(image=np.zeros((1, 8, 8, 3), np.uint8), **parts)
