"""Damaged files of weights, and numbers that are no weights, are errors that name the file."""

import json
import struct

import pytest
import safetensors.numpy

from cnnjax import models
from tests.models.test_weights_load import MODEL, variables_for


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    models.export_torchvision(MODEL, variables_for(MODEL), path)
    return path


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "F8_E8M0", "U8", "BOOL"])
def test_numbers_of_eight_bits_are_no_weights(dtype, written, tmp_path):
    header, start = {}, 0
    for name, array in safetensors.numpy.load_file(written).items():
        offsets = [start, start + array.size]
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": offsets}
        start += array.size
    text = json.dumps(header).encode()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(start))
    with pytest.raises(models.WeightsError, match=rf"weights\.safetensors: .* dtype {dtype};"):
        models.load_pretrained(MODEL, path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:7],
        lambda content: content[: len(content) // 2],
        lambda content: struct.pack("<Q", 2 * len(content)) + content[8:],
        lambda content: struct.pack("<Q", 2**62) + content[8:],
        lambda content: content + b"x",
        lambda content: struct.pack("<Q", 2) + b"[]",
        lambda content: struct.pack("<Q", 9) + b'{"a": 5} ',
    ],
)
def test_damaged_files_are_named(damage, written, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(damage(written.read_bytes()))
    with pytest.raises(models.WeightsError, match=r"weights\.safetensors is not a safetensors"):
        models.load_pretrained(MODEL, path)
