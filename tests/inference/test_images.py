"""Image files found, read, and brought to the form of a dataset's images."""

import os

import numpy as np
import pytest
from PIL import Image

from cnnjax import data, training
from cnnjax.inference.images import ImageForm, check_images, find_images, read_images


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def read(path, shape, **options):
    (found,) = read_images([path], ImageForm(shape), **options)
    assert found.problem == "" and found.image is not None
    return found.image


def test_files_are_cut_at_their_center_shrunk_and_inverted(tmp_path):
    wide = np.zeros((40, 80), np.uint8)
    wide[:, 20:60] = 200  # the center square is what stays
    path = save(tmp_path / "wide.png", wide)
    assert (read(path, (8, 8, 1)) == 200).all()
    assert (read(path, (8, 8, 1), invert=True) == 55).all()
    color = read(path, (4, 6, 3))
    assert color.shape == (4, 6, 3)
    assert (color[:, 2:4] == 200).all()


def test_shrinking_averages_and_keeps_the_proportions_of_the_form(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    path = save(tmp_path / "a.png", pixels)
    # 12x24 of 16x24, each pixel the mean of 3x3.
    cut = pixels[2:14].reshape(4, 3, 8, 3, 3).mean(axis=(1, 3))
    assert np.abs(read(path, (4, 8, 3)) - cut).max() <= 0.5 + 1e-6


def test_photographs_are_framed_as_in_evaluation(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    path = save(tmp_path / "a.png", pixels)
    framing = data.Framing(20, 16)
    (found,) = read_images([path], ImageForm((16, 16, 3), framing))
    np.testing.assert_array_equal(found.image, framing.evaluate(pixels))


def test_damaged_files_are_named_and_the_others_read(tmp_path):
    good = save(tmp_path / "good.png", np.zeros((9, 9), np.uint8))
    (tmp_path / "text.png").write_text("x")
    save(tmp_path / "cut.jpg", np.zeros((64, 64, 3), np.uint8))
    whole = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    paths = [tmp_path / "text.png", good, tmp_path / "cut.jpg"]
    found = list(read_images(paths, ImageForm((8, 8, 1))))
    assert [file.path for file in found] == paths
    assert [file.image is None for file in found] == [True, False, True]
    assert [bool(file.problem) for file in found] == [True, False, True]


def test_folders_are_searched_in_alphabetical_order(tmp_path):
    pixels = np.zeros((4, 4), np.uint8)
    names = ["b/2.PNG", "b/1.jpg", "a/deep/3.bmp", "4.png"]
    paths = {name: save(tmp_path / name, pixels) for name in names}
    (tmp_path / "b" / "notes.txt").write_text("x")
    expected = [paths[name] for name in ("4.png", "a/deep/3.bmp", "b/1.jpg", "b/2.PNG")]
    assert find_images([tmp_path]) == expected
    # What is named is taken, whatever it is called, in the order of naming.
    named = tmp_path / "b" / "notes.txt"
    assert find_images([named, paths["4.png"]]) == [named, paths["4.png"]]


def test_what_is_neither_a_file_nor_a_folder_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(training.ConfigError, match=r"pipe\.png: it is neither a regular file"):
        find_images([tmp_path / "pipe.png"])
    with pytest.raises(training.ConfigError, match="there is no such file"):
        find_images([tmp_path / ("a" * 300)])


def test_all_paths_without_images_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(training.ConfigError) as raised:
        find_images([tmp_path / "none.png", tmp_path / "empty"])
    assert "none.png: there is no such file" in str(raised.value)
    assert "empty: the folder holds no image (.bmp" in str(raised.value)


def test_files_are_checked_before_they_are_read(tmp_path):
    good = save(tmp_path / "good.png", np.zeros((9, 9), np.uint8))
    (tmp_path / "text.png").write_text("x")
    check_images([good])
    with pytest.raises(training.ConfigError) as raised:
        check_images([tmp_path / "text.png", good, tmp_path / "gone.png"])
    problems = str(raised.value).splitlines()[1:]
    assert [problem.split(":")[0].strip() for problem in problems] == [
        str(tmp_path / "text.png"),
        str(tmp_path / "gone.png"),
    ]


def test_pipes_are_named_and_not_waited_for(tmp_path):
    good = save(tmp_path / "folder" / "good.png", np.zeros((9, 9), np.uint8))
    os.mkfifo(tmp_path / "folder" / "pipe.png")
    os.mkfifo(tmp_path / "folder" / "other")
    (tmp_path / "folder" / "broken.png").symlink_to("nowhere")
    found = find_images([tmp_path / "folder"])
    assert [path.name for path in found] == ["broken.png", "good.png", "pipe.png"]
    broken, read_good, pipe = read_images(found, ImageForm((8, 8, 1)))
    assert "No such file" in broken.problem
    assert (read_good.path, read_good.problem) == (good, "")
    assert pipe.problem == "it is a named pipe, and only regular files are read"
    with pytest.raises(training.ConfigError, match=r"other: it is neither a regular file"):
        find_images([good, tmp_path / "folder" / "other"])


def test_images_above_the_limit_are_named(tmp_path):
    path = save(tmp_path / "a.png", np.zeros((9, 9), np.uint8))
    (found,) = read_images([path], ImageForm((8, 8, 1)), max_pixels=80)
    assert found.problem == "it has 9x9 pixels, more than the 80 that --max_pixels allows"
    check_images([path], 81)
    with pytest.raises(training.ConfigError, match="9x9 pixels"):
        check_images([path], 80)
