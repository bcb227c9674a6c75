"""Published files that are cut, garbage, or hold what they should not."""

import gzip
import io
import lzma
import os
import tarfile

import pytest

from cnnjax import data
from cnnjax.data.prepare import packed_files, published_files
from cnnjax.data.prepare.packed_files import read_gzip, read_tar, read_xz
from scripts import prepare_data

ARCHIVE = "cifar-10-python.tar.gz"


def tar_of(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                (member.type,), member.linkname = content, "nowhere"
                tar.addfile(member)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_archive_is_named(tmp_path, share):
    tar_of(tmp_path / ARCHIVE, {"cifar-10-batches-py/data_batch_1": os.urandom(200_000)})
    content = (tmp_path / ARCHIVE).read_bytes()
    (tmp_path / ARCHIVE).write_bytes(content[: int(share * len(content))])
    with pytest.raises(data.DataError, match=r"cifar-10-python.tar.gz cannot be unpacked: .*again"):
        published_files.read_original("cifar10", tmp_path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_an_archive_with_a_link_in_place_of_a_batch_is_named(tmp_path, kind):
    tar_of(tmp_path / ARCHIVE, {"cifar-10-batches-py/data_batch_1": (kind,)})
    with pytest.raises(data.DataError, match=r"has no cifar-10-batches-py/data_batch_1"):
        published_files.read_original("cifar10", tmp_path)


def test_members_of_other_folders_are_left_out(tmp_path):
    tar_of(
        tmp_path / "a.tar.gz", {"in/a": b"1", "in/deep/a": b"2", "inside/a": b"3", "../in/a": b""}
    )
    assert read_tar(tmp_path / "a.tar.gz", "in") == {"a": b"1"}


@pytest.mark.parametrize("content", [b"", b"garbage", lzma.compress(os.urandom(999))[:500]])
def test_garbage_xz_is_named(tmp_path, content):
    (tmp_path / "data_batch_1.xz").write_bytes(content)
    with pytest.raises(data.DataError, match=r"data_batch_1.xz cannot be unpacked: "):
        published_files.read_original("cifar10", tmp_path)


@pytest.mark.parametrize("content", [b"garbage", gzip.compress(os.urandom(999))[:500]])
def test_garbage_gzip_is_named(tmp_path, content):
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(data.DataError, match=r"a.gz cannot be unpacked: "):
        read_gzip(tmp_path / "a.gz")


@pytest.mark.parametrize(
    ("pack", "read", "name"), [(gzip.compress, read_gzip, "a.gz"), (lzma.compress, read_xz, "a.xz")]
)
def test_what_unpacks_to_too_much_is_refused(tmp_path, monkeypatch, pack, read, name):
    monkeypatch.setattr(packed_files, "LARGEST", 1000)
    (tmp_path / name).write_bytes(pack(bytes(1000)))
    assert read(tmp_path / name) == bytes(1000)
    (tmp_path / name).write_bytes(pack(bytes(1001)))
    with pytest.raises(data.DataError, match="unpacks to more than 1,000 bytes"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x08\x01",
        b"\0\0\x08\x03\0\0\0\x01",
        b"\0\0\x08\x02" + b"\xff" * 8,
        b"\0\0\x08\x04" + b"\x80\0\0\0" * 4,
    ],
)
def test_truncated_and_absurd_idx_headers_are_named(tmp_path, header):
    (tmp_path / "a.gz").write_bytes(gzip.compress(header))
    with pytest.raises(data.DataError, match=r"a.gz (is no IDX file|has \d+ bytes|holds 0 values)"):
        published_files.read_idx(tmp_path / "a.gz")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist", "train-images-idx3-ubyte.gz"),
        ("cifar10", "data_batch_1"),
        ("cifar10", "data_batch_1.xz"),
        ("cifar10", ARCHIVE),
    ],
)
def test_a_pipe_in_place_of_a_published_file_is_refused(tmp_path, capsys, name, file):
    source = tmp_path / "source"
    source.mkdir()
    os.mkfifo(source / file)
    arguments = [name, f"--source={source}", f"--data_dir={tmp_path / 'data'}"]
    assert prepare_data.main(arguments) == 2
    assert (
        f"{file} cannot be read: a named pipe; give the published file" in capsys.readouterr().err
    )
