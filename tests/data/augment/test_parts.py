"""Image, mask, boxes and points of an example go the same way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from cnnjax import data
from cnnjax.data.augment.motion import Mirror, Window, move_boxes
from cnnjax.data.augment.resample import ResizedPart, Turn

HEIGHT, WIDTH = 8, 10
NUMBERS = np.arange(1, HEIGHT * WIDTH + 1).reshape(HEIGHT, WIDTH)
BOXES = np.array([[1, 2, 5, 7], [0, 0, 2, 1.5], [6, 8, 8, 10], [0, 0, 0, 0]], np.float32)
POINTS = np.array([[0.5, 9.5], [4.25, 3], [0, 0]], np.float32)
EXAMPLE = {
    "image": jnp.asarray(NUMBERS[..., None] / 100, jnp.float32),
    "depth": jnp.asarray(NUMBERS[..., None] / 200, jnp.float32),
    "mask": jnp.asarray(NUMBERS % 7, jnp.uint8),
    "boxes": jnp.asarray(BOXES),
    "boxes_count": jnp.int32(3),
    "classes": jnp.asarray([5, 6, 7, 0]),
    "points": jnp.asarray(POINTS),
    "label": jnp.int32(1),
}
KINDS: dict = {"depth": "image"}


def many(policy, example=EXAMPLE, kinds=KINDS, count=60):
    """Augments one example under several keys; returns a list of examples."""
    batch = {name: jnp.stack([part] * count) for name, part in example.items()}
    keys = jax.random.split(jax.random.key(0), count)
    result = jax.jit(lambda keys, batch: data.augment_batch(policy, keys, batch, kinds))(
        keys, batch
    )
    return [{name: np.asarray(part[i]) for name, part in result.items()} for i in range(count)]


def clipped(boxes, height=HEIGHT, width=WIDTH):
    """Cuts boxes to the image, by loops."""
    kept = np.zeros_like(boxes)
    for slot, (top, left, bottom, right) in enumerate(boxes):
        top, left = max(top, 0), max(left, 0)
        bottom, right = min(bottom, height), min(right, width)
        if bottom > top and right > left:
            kept[slot] = top, left, bottom, right
    return kept


def assert_others_stay(result):
    for name in ("boxes_count", "classes", "label"):
        np.testing.assert_array_equal(result[name], EXAMPLE[name])
        assert result[name].dtype == EXAMPLE[name].dtype


@pytest.mark.parametrize(
    ("policy", "padding", "padded_image", "padded_mask"),
    [
        ("crop(3)", 3, {}, {"constant_values": 255}),
        ("crop(3, mask_fill=9)", 3, {}, {"constant_values": 9}),
        ("shift(2)", 2, {}, {"constant_values": 255}),
        ("crop(2, 'reflect')", 2, {"mode": "reflect"}, {"mode": "reflect"}),
    ],
)
def test_a_crop_takes_the_same_window_of_every_part(policy, padding, padded_image, padded_mask):
    padded = np.pad(np.asarray(EXAMPLE["image"])[..., 0], padding, **padded_image)
    mask = np.pad(np.asarray(EXAMPLE["mask"]), padding, **padded_mask)
    drawn = set()
    for result in many(policy):
        # The window is found by the numbers of the pixels.
        [(top, left)] = [
            (top, left)
            for top in range(2 * padding + 1)
            for left in range(2 * padding + 1)
            if np.array_equal(
                padded[top : top + HEIGHT, left : left + WIDTH], result["image"][..., 0]
            )
        ]
        drawn.add((top, left))
        np.testing.assert_array_equal(result["depth"], result["image"] / 2)
        np.testing.assert_array_equal(result["mask"], mask[top : top + HEIGHT, left : left + WIDTH])
        down, right = padding - top, padding - left
        moved = clipped(BOXES + np.array([down, right, down, right], np.float32))
        np.testing.assert_array_equal(result["boxes"], moved)
        np.testing.assert_array_equal(result["points"][:2], POINTS[:2] + np.array([down, right]))
        np.testing.assert_array_equal(result["points"][2], [0, 0])
        assert_others_stay(result)
    assert len(drawn) > 10


def test_a_flip_mirrors_every_part():
    mirrored = 0
    for result in many("flip", count=20):
        if np.array_equal(result["image"], EXAMPLE["image"]):
            for name, part in EXAMPLE.items():
                np.testing.assert_array_equal(result[name], part)
            continue
        mirrored += 1
        for name in ("image", "depth", "mask"):
            np.testing.assert_array_equal(result[name], np.asarray(EXAMPLE[name])[:, ::-1])
        top, left, bottom, right = BOXES[:3].T
        boxes = np.stack([top, WIDTH - right, bottom, WIDTH - left], axis=1)
        np.testing.assert_array_equal(result["boxes"], [*boxes, [0, 0, 0, 0]])
        np.testing.assert_array_equal(result["points"], [[0.5, 0.5], [4.25, 7], [0, 0]])
        assert_others_stay(result)
    assert 4 < mirrored < 16


@pytest.mark.parametrize("target", [(6, 6), (13, 8), (2, 3)])
def test_a_resized_part_scales_every_part(target):
    top, left, height, width = 2, 3, 5, 6
    motion = ResizedPart(jnp.array([top, left]), jnp.array([height, width]), target)
    mask = NUMBERS.astype(np.int32)
    cut = mask[top : top + height, left : left + width]
    nearest = Image.fromarray(cut).resize(target[::-1], Image.Resampling.NEAREST)
    np.testing.assert_array_equal(motion.move_mask(jnp.asarray(mask)), np.asarray(nearest))
    with_axis = motion.move_mask(jnp.asarray(mask)[..., None])
    np.testing.assert_array_equal(with_axis[..., 0], np.asarray(nearest))
    scale = np.array(target) / [height, width]
    expected = clipped((BOXES - np.array([top, left] * 2)) * np.tile(scale, 2), *target)
    expected[3] = 0
    boxes = move_boxes(motion, jnp.asarray(BOXES), target)
    np.testing.assert_allclose(boxes, expected, atol=1e-5)
    points = (POINTS - [top, left]) * scale
    np.testing.assert_allclose(motion.move_points(jnp.asarray(POINTS)), points, atol=1e-5)


def painted(size=48):
    """Returns an example with a dot at its point, and a rectangle that mask and box show too."""
    rows, columns = np.mgrid[:size, :size] + 0.5
    point = np.array([20.3, 27.6])
    dot = np.exp(-((rows - point[0]) ** 2 + (columns - point[1]) ** 2) / (2 * 2.0**2))
    rectangle = np.zeros((size, size))
    rectangle[14:27, 19:36] = 1
    return {
        "image": jnp.asarray(np.stack([dot, rectangle, np.ones_like(dot)], -1), jnp.float32),
        "mask": jnp.asarray(rectangle, jnp.int32),
        "boxes": jnp.asarray([[14, 19, 27, 36], [0, 0, 0, 0]], jnp.float32),
        "points": jnp.asarray([point, [0, 0]], jnp.float32),
    }


@pytest.mark.parametrize(
    "policy",
    [
        "affine(rotation=40, scale=(0.8, 1.3), shift=3)",
        "flip(1), affine(180, (0.9, 1.1), 1, mask_fill=7)",
        "resized_crop(64, area=(0.8, 1.0)), flip",
    ],
)
def test_what_is_painted_into_the_image_moves_with_the_other_parts(policy):
    for result in many(policy, painted(), None, 20):
        dot, rectangle, within = np.moveaxis(result["image"], -1, 0)
        centers = np.mgrid[: dot.shape[0], : dot.shape[1]] + 0.5
        centroid = (centers * dot).sum(axis=(1, 2)) / dot.sum()
        np.testing.assert_allclose(result["points"][0], centroid, atol=0.1)
        np.testing.assert_array_equal(result["points"][1], [0, 0])

        # A bilinear value has at least a quarter of the nearest pixel.
        mask = result["mask"]
        outside = mask == (7 if "mask_fill" in policy else 255)
        assert set(np.unique(mask[~outside])) == {0, 1}
        assert (mask[rectangle > 0.751] == 1).all()
        assert (mask[rectangle < 0.249] != 1).all()
        assert ((mask == 1) == (rectangle > 0.5)).mean() > 0.99
        assert outside[within < 0.249].all()
        assert not outside[within > 0.751].any()

        seen = np.argwhere(rectangle > 0.25)
        bounds = [*seen.min(axis=0), *(seen.max(axis=0) + 1)]
        np.testing.assert_allclose(result["boxes"][0], bounds, atol=1)
        np.testing.assert_array_equal(result["boxes"][1], np.zeros(4))


def test_a_quarter_turn_turns_every_part():
    square = painted(48)
    quarter = Turn(np.pi / 2, 1.0, jnp.zeros(2), (48, 48))
    np.testing.assert_array_equal(quarter.move_mask(square["mask"]), np.rot90(square["mask"]))
    moved = move_boxes(quarter, square["boxes"][:1], (48, 48))
    # The right side is on top now.
    np.testing.assert_allclose(moved, [[48 - 36, 14, 48 - 19, 27]], atol=1e-4)


def test_a_box_that_leaves_becomes_zeros_in_its_slot_and_a_point_keeps_its_place():
    example = {
        "image": jnp.zeros((8, 8, 1)),
        "boxes": jnp.asarray([[0, 0, 2, 2], [3, 3, 8, 8]], jnp.float32),
        "points": jnp.asarray([[1.5, 1.5]]),
    }
    away = Window(jnp.int32(6), jnp.int32(6), 3)
    np.testing.assert_array_equal(
        move_boxes(away, example["boxes"], (8, 8)), [[0, 0, 0, 0], [0, 0, 5, 5]]
    )
    points = {tuple(result["points"][0]) for result in many("shift(3)", example, None)}
    assert min(points)[0] == -1.5
    assert max(points)[0] == 4.5


@pytest.mark.parametrize("policy", ["color_jitter(0.4, 0.4)", "cutout(4, 0.9)"])
def test_color_and_erasing_leave_all_but_images(policy):
    for result in many(policy, count=5):
        for name in EXAMPLE.keys() - {"image", "depth"}:
            np.testing.assert_array_equal(result[name], EXAMPLE[name])
        assert not np.array_equal(result["image"], EXAMPLE["image"])
        assert not np.array_equal(result["depth"], EXAMPLE["depth"])


def test_images_can_be_chosen_by_name():
    color = EXAMPLE | {"image": jnp.full((HEIGHT, WIDTH, 3), 0.3)}
    for result in many("pca_color(1, parts='image'), cutout(3, 0.9, parts=('depth',))", color):
        assert not np.array_equal(result["image"], color["image"])
        changed = result["depth"] != color["depth"]
        np.testing.assert_allclose(result["depth"][changed], 0.9)


def test_images_are_erased_at_one_place():
    for result in many("cutout(3, 0.9)", count=10):
        np.testing.assert_array_equal(
            result["image"] == np.float32(0.9), result["depth"] == np.float32(0.9)
        )


def test_images_are_augmented_alike_with_and_without_other_parts():
    policy = "crop(2), flip, cutout(3)"
    alone = many(policy, {"image": EXAMPLE["image"]}, None, 10)
    for one, together in zip(alone, many(policy, count=10), strict=True):
        np.testing.assert_allclose(one["image"], together["image"], atol=1e-6)


def test_every_augmentation_has_its_sort():
    sorts = {
        "geometry": "affine, crop(1), flip, resized_crop, shift(1)",
        "color": "autocontrast, color_jitter, pca_color",
        "erase": "cutout(1), random_erasing",
    }
    for sort, text in sorts.items():
        assert {step.sort for step in data.parse_policy(text).steps} == {sort}
    assert data.Mixup().sort == "mix"


@pytest.mark.parametrize(
    ("policy", "changed", "kinds", "message"),
    [
        (
            "flip",
            {"depth": jnp.zeros((4, 5, 1))},
            KINDS,
            "flip: depth is 4x5, but image is 8x10; .*resize depth, or declare it as of kind value",
        ),
        ("crop(1)", {"mask": jnp.zeros((4, 4), jnp.int32)}, KINDS, "mask is 4x4, but image is 8x1"),
        ("cutout(1)", {"depth": jnp.zeros((4, 5, 1))}, KINDS, "cutout: depth is 4x5, but image"),
        ("flip", {"image": jnp.zeros((2, 8, 10, 1))}, KINDS, "image: an image of shape .2, 8, 10"),
        ("flip", {"image": jnp.zeros((8, 10, 3), jnp.uint8)}, KINDS, "image of uint8 .* by 255"),
        ("autocontrast", {"image": jnp.zeros((8, 10, 3), jnp.uint8)}, KINDS, "image of uint8"),
        ("flip", {"mask": jnp.zeros((8, 10))}, KINDS, "mask: a mask of float32 .*give uint8"),
        ("flip", {"mask": jnp.zeros((8, 10, 3), jnp.int32)}, KINDS, "mask: a mask of shape"),
        ("crop(1, mask_fill=256)", {}, KINDS, "mask_fill: a mask of uint8 cannot hold 256"),
        ("flip", {"boxes": jnp.zeros((4, 5))}, KINDS, "boxes: shape .4, 5. was given; boxes of an"),
        ("flip", {"boxes": jnp.zeros((4, 4), jnp.int32)}, KINDS, "boxes: int32 .*give float32"),
        ("flip", {"points": jnp.zeros(2)}, KINDS, r"points: .* are rows of \(row, column\)"),
        ("flip", {}, {"dept": "image"}, "kinds: 'dept' is no part; the parts are 'image', 'dep"),
        ("flip", {}, {"depth": "imag"}, "'imag' of the part 'depth' is unknown; did you mean imag"),
        ("color_jitter(0.1, parts='dept')", {}, KINDS, "'dept' is no part of kind image; did you"),
        ("pca_color(parts='depth')", {}, KINDS, "the images have 1 channels, not 3; leave it out"),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_name(policy, changed, kinds, message):
    with pytest.raises(ValueError, match=message):
        data.parse_policy(policy)(jax.random.key(0), EXAMPLE | changed, kinds)


@pytest.mark.parametrize("policy", ["flip", "color_jitter(0.1)", "cutout(1)"])
def test_an_example_without_images_is_refused(policy):
    example = {"label": jnp.int32(1), "points": jnp.zeros((2, 2))}
    with pytest.raises(ValueError, match=r"no part of kind image.*label \(label\), points \(poin"):
        data.parse_policy(policy)(jax.random.key(0), example)


def test_a_mask_moves_without_an_image():
    mask = jnp.asarray(NUMBERS, jnp.int32)[..., None]
    moved = data.parse_policy("flip(1)")(jax.random.key(0), {"mask": mask})["mask"]
    np.testing.assert_array_equal(moved, Mirror(jnp.array(True), WIDTH).move_mask(mask))
    np.testing.assert_array_equal(moved[..., 0], NUMBERS[:, ::-1])
