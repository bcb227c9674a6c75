import gzip
import hashlib
import io
import lzma
import pickle
import tarfile

import numpy as np
import pytest

from cnnjax import data
from cnnjax.data.prepare import builders, published_files
from cnnjax.data.prepare import prepare as prepare_module
from cnnjax.data.prepare.published_files import OriginalSplit
from cnnjax.data.read.tfds_store import open_prepared, quiet_tfds
from scripts import prepare_data


def idx(values: np.ndarray) -> bytes:
    """A gzipped IDX file, as http://yann.lecun.com/exdb/mnist/ describes it."""
    header = bytes([0, 0, 8, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape)
    return gzip.compress(header + values.tobytes())


def random_split(count: int, shape: tuple[int, ...], seed: int) -> OriginalSplit:
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count, *shape), dtype=np.uint8)
    return OriginalSplit(images, generator.integers(0, 10, count).astype(np.int32))


@pytest.fixture
def tiny_mnist(tmp_path, monkeypatch):
    """A folder of MNIST's four files with ten images, their digests taken for the published."""
    splits = {"train": random_split(7, (28, 28, 1), 0), "test": random_split(3, (28, 28, 1), 1)}
    folder = tmp_path / "originals"
    folder.mkdir()
    digests = {}
    for split, (images_file, labels_file) in published_files.IDX_FILES.items():
        images, labels = splits[split]
        for name, values in ((images_file, images[..., 0]), (labels_file, labels.astype(np.uint8))):
            (folder / name).write_bytes(idx(values))
            digests[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    monkeypatch.setitem(published_files._IDX_DIGESTS, "mnist", digests)
    return folder, splits


def test_original_idx_files_are_read(tiny_mnist):
    folder, splits = tiny_mnist
    found = published_files.read_original("mnist", folder)
    for split, (images, labels) in splits.items():
        np.testing.assert_array_equal(found[split].images, images)
        np.testing.assert_array_equal(found[split].labels, labels)


def test_a_changed_file_is_reported_with_both_digests(tiny_mnist):
    folder, splits = tiny_mnist
    path = folder / "t10k-labels-idx1-ubyte.gz"
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(idx(splits["test"].labels.astype(np.uint8) + 1))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(data.DataError, match=f"its digest is {found}, expected {expected}"):
        published_files.read_original("mnist", folder)


def test_files_of_another_set_with_the_same_names_are_reported(tiny_mnist):
    folder, _ = tiny_mnist
    with pytest.raises(data.DataError, match=r"is not the published file; it is mnist's"):
        published_files.read_original("fashion_mnist", folder)


def test_missing_originals_are_named(tmp_path):
    with pytest.raises(data.DataError, match=r"has no train-images-idx3-ubyte.gz; mnist needs"):
        published_files.read_original("mnist", tmp_path)
    with pytest.raises(data.DataError, match=r"neither data_batch_1 nor data_batch_1.xz nor cifar"):
        published_files.read_original("cifar10", tmp_path)
    with pytest.raises(data.DataError, match=r"there is no folder .*nowhere"):
        published_files.read_original("cifar10", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\x0b\x01\0\0\0\x02ab", "no IDX file of unsigned bytes"),
        (b"\0\0\x08\x01\0\0\0\x03ab", "holds 2 values, its header has"),
    ],
)
def test_other_idx_files_are_refused(tmp_path, content, message):
    (tmp_path / "file.gz").write_bytes(gzip.compress(content))
    with pytest.raises(data.DataError, match=message):
        published_files.read_idx(tmp_path / "file.gz")


@pytest.mark.parametrize("form", ["raw", "xz", "archive"])
def test_cifar10_is_read_in_each_form(tmp_path, monkeypatch, form):
    splits = {"train": random_split(10, (32, 32, 3), 0), "test": random_split(2, (32, 32, 3), 1)}
    contents = {}
    for split, names in published_files.CIFAR10_FILES.items():
        images, labels = splits[split]
        for part, name in enumerate(names):
            rows = slice(2 * part, 2 * part + 2)
            # Planes of red, green and blue, each by rows.
            planes = [image[..., channel].ravel() for image in images[rows] for channel in range(3)]
            batch = {
                "data": np.concatenate(planes).reshape(2, 3072),
                "labels": labels[rows].tolist(),
            }
            contents[name] = pickle.dumps(batch)
    digests = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(published_files, "_CIFAR10_DIGESTS", digests)
    if form == "archive":
        with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as tar:
            for name, content in contents.items():
                member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    for name, content in contents.items():
        if form == "raw":
            (tmp_path / name).write_bytes(content)
        elif form == "xz":
            (tmp_path / f"{name}.xz").write_bytes(lzma.compress(content))
    found = published_files.read_original("cifar10", tmp_path)
    for split, (images, labels) in splits.items():
        np.testing.assert_array_equal(found[split].images, images)
        np.testing.assert_array_equal(found[split].labels, labels)


@pytest.mark.parametrize("name", list(builders.BUILDERS))
def test_what_our_builders_prepare_is_what_they_were_given(name, tmp_path):
    entry = data.dataset(name)
    assert entry.image_shape is not None
    given = random_split(6, entry.image_shape, 3)
    builder = builders.BUILDERS[name]({"train": given}, str(tmp_path))
    with quiet_tfds():
        builder.download_and_prepare()
    folder = tmp_path / name / entry.version
    source = open_prepared(folder).as_data_source(split="train")
    stored = sorted((example["image"].tobytes(), example["label"]) for example in source)
    images, labels = given
    assert stored == sorted((i.tobytes(), int(c)) for i, c in zip(images, labels, strict=True))
    if name == "cifar10":
        assert {example["id"] for example in source} == {f"train_{i:05}".encode() for i in range(6)}


def test_another_sets_images_are_noticed_by_their_count(tiny_mnist, tmp_path):
    with pytest.raises(data.DataError, match=r"7 examples, expected 60000"):
        data.prepare("mnist", str(tiny_mnist[0]), str(tmp_path))


def test_another_sets_images_are_noticed_by_their_mean(tmp_path, monkeypatch):
    def wrong(dataset, split, data_dir):
        count = dataset.split_sizes[split]
        return data.from_arrays(image=np.zeros((count, 8, 8, 1), np.uint8))

    monkeypatch.setattr(prepare_module, "load_arrays", wrong)
    with pytest.raises(data.DataError, match=r"digits: the training pixels .* are other images"):
        data.prepare("digits", data_dir=str(tmp_path))


def test_the_program_prepares_a_set_and_prints_what_it_read_back(tmp_path, capsys):
    assert prepare_data.main(["digits", f"--data_dir={tmp_path}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split(maxsplit=1) == ["examples", "1,437 train, 360 test"]
    assert lines[2].split()[:2] == ["mean", "0.30543"]


@pytest.mark.parametrize("name", ["mnist", "kmnist", "minst", "folder:somewhere"])
def test_the_program_prints_what_is_missing(name, tmp_path, capsys):
    assert prepare_data.main([name, f"--data_dir={tmp_path}"]) == 2
    message = capsys.readouterr().err
    expected = {
        "mnist": r"give --source=FOLDER with its original files (train-images",
        "kmnist": "needs TensorFlow",
        "minst": "did you mean mnist",
        "folder:somewhere": "needs no preparation",
    }
    assert expected[name] in message
    assert not any(tmp_path.iterdir())
