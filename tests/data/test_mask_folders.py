import io

import numpy as np
import pytest
from PIL import Image

from cnnjax import data
from cnnjax.data.read.masks import decode_mask

FRAMING = data.Framing(8, 8)


def png(values, mode="L"):
    picture = Image.fromarray(np.asarray(values))
    if mode == "1":
        picture = picture.convert("1")
    if mode == "P":
        # Colors that have nothing to do with the labels.
        picture.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()


def mask_of(size=(10, 12)):
    """The label of a pixel is in its place: 0 above, 1 on the left below, 2 on the right."""
    mask = np.zeros(size, np.uint8)
    mask[size[0] // 2 :, : size[1] // 2] = 1
    mask[size[0] // 2 :, size[1] // 2 :] = 2
    return mask


def write_pair(folder, name, mask=None, mode="P", suffix=".png"):
    """An image whose values are made of its mask's: 100 times the label."""
    mask = mask_of() if mask is None else mask
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    gray = 100 * np.minimum(mask, 2)
    Image.fromarray(np.repeat(gray[..., None], 3, 2)).save(folder / "images" / f"{name}{suffix}")
    (folder / "masks" / f"{name}.png").write_bytes(png(mask, mode))


@pytest.fixture
def folder(tmp_path):
    """Three images to train on, of several sizes, and one to test."""
    write_pair(tmp_path / "train", "a")
    write_pair(tmp_path / "train", "b", mask_of((16, 9)), mode="L")
    ignored = mask_of()
    ignored[0] = 255
    write_pair(tmp_path / "train", "c", ignored)
    write_pair(tmp_path / "test", "d")
    (tmp_path / "classes.txt").write_text("sky\ntree\nsea\n")
    return tmp_path


def load(folder, split="train", name=None):
    dataset = data.dataset(name or f"masks:{folder}")
    return data.load_examples(dataset, split, framing=FRAMING)


def test_images_and_masks_are_read_together_and_stay_aligned(folder):
    dataset = data.dataset(f"masks:{folder}")
    assert dataset.mask_names == ("sky", "tree", "sea")
    assert dataset.split_sizes == {"train": 3, "test": 1}
    examples = load(folder)
    assert {name: part.kind for name, part in examples.spec.items()} == {
        "image": "image",
        "mask": "mask",
    }
    parts = examples.take([0, 1, 2])
    assert parts["image"].shape == (3, 8, 8, 3) and parts["mask"].shape == (3, 8, 8)
    for image, mask in zip(parts["image"], parts["mask"], strict=True):
        assert set(np.unique(mask)) <= {0, 1, 2, 255}
        counted = mask < 255
        # Away from edges the value shows the label: the image is resized bilinearly.
        agrees = np.abs(image[..., 0].astype(int) - 100 * mask.astype(int)) < 50
        assert agrees[counted].mean() > 0.85
    assert (parts["mask"][2] == 255).any()


def test_random_cuts_move_masks_with_their_images(folder):
    cuts = data.Framing(12, 8, short_sides=(8, 20))
    examples = data.load_examples(data.dataset(f"masks:{folder}"), "train", framing=cuts)
    for seed in range(20):
        parts = examples.read(0, np.random.Generator(np.random.PCG64(seed)))
        agrees = np.abs(parts["image"][..., 0].astype(int) - 100 * parts["mask"].astype(int)) < 60
        assert agrees.mean() > 0.8


def test_without_train_a_hash_splits(folder):
    for number in range(30):
        write_pair(folder / "whole", f"{number:02d}")
    (folder / "whole" / "classes.txt").write_text("sky\ntree\nsea")
    sizes = data.dataset(f"masks:{folder}/whole").split_sizes
    assert sum(sizes.values()) == 30 and 1 <= sizes["test"] < 15
    names = [
        {examples.name(place) for place in range(len(examples))}
        for examples in (load(folder / "whole", split) for split in ("train", "test"))
    ]
    assert not names[0] & names[1] and len(names[0] | names[1]) == 30


def test_of_a_palette_the_places_are_the_labels():
    mask = mask_of()
    for mode in ("L", "P"):
        np.testing.assert_array_equal(decode_mask(png(mask, mode)), mask)
    np.testing.assert_array_equal(decode_mask(png(mask > 0, "1")), mask > 0)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "train/masks/b.png").unlink(), r"b.png has no mask; add .*masks/b.png"),
        (lambda f: (f / "classes.txt").unlink(), r"classes.txt cannot be read .*write a name for"),
        (lambda f: (f / "classes.txt").write_text("a\na\nb"), "all different and none empty"),
        (lambda f: (f / "test/masks").rename(f / "test/labels"), r"no folder .*test/masks"),
        (lambda f: write_pair(f / "train", "a", suffix=".bmp"), "have one name, and so one mask"),
        (lambda f: (f / "train/images").rename(f / "train/x"), r"there is no folder .*images"),
    ],
)
def test_a_folder_of_another_layout_is_refused_with_the_file(folder, break_it, message):
    break_it(folder)
    with pytest.raises(data.DataError, match=message):
        data.dataset(f"masks:{folder}")


@pytest.mark.parametrize(
    ("mask", "mode", "message"),
    [
        (
            mask_of((9, 12)),
            "P",
            r"train/images/a.png: mask: it has 12x9 pixels, but its image .*12x10",
        ),
        (mask_of() + 5, "L", r"a.png: mask: 60 of its pixels have the value 5, which is no label"),
        (np.zeros((10, 12, 3), np.uint8), "RGB", r"a.png: mask: its pixels are of mode RGB"),
        (np.zeros((10, 12), np.uint16), "I;16", r"a.png: mask: its pixels are of mode I;16"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused_with_the_file(folder, mask, mode, message):
    (folder / "train" / "masks" / "a.png").write_bytes(png(mask, mode))
    with pytest.raises(data.DataError, match=message):
        load(folder).read(0)


@pytest.mark.parametrize("content", [b"", b"JFIF", png(mask_of())[:60]])
def test_a_damaged_mask_counts_as_a_damaged_image(folder, content):
    (folder / "train" / "masks" / "b.png").write_bytes(content)
    reader = data.Reader(load(folder), data.EvaluationOrder(3, 3))
    (batch,) = reader.batches()
    assert batch["weight"].tolist() == [1, 0, 1]
    ((name, problem),) = reader.damaged.items()
    assert name.endswith("train/images/b.png") and "mask: " in problem


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(data.DataError, match=r"there is no folder .*nowhere; give a folder with"):
        data.dataset(f"masks:{tmp_path}/nowhere")


def test_other_names_or_images_are_another_version(folder):
    first = data.dataset(f"masks:{folder}").version
    (folder / "classes.txt").write_text("sky\ntree\nland\n")
    second = data.dataset(f"masks:{folder}").version
    write_pair(folder / "train", "e")
    assert len({first, second, data.dataset(f"masks:{folder}").version}) == 3
