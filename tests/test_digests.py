"""Digests of files."""

import subprocess

from cnnjax import digests


def test_the_digest_of_a_file_is_the_published_one(tmp_path):
    # FIPS 180-4's own example.
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digests.of_file(tmp_path / "abc") == expected


def test_a_file_of_several_blocks_has_the_digest_of_coreutils(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * 8192)
    done = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True)
    assert digests.of_file(path) == done.stdout.split()[0]
