"""The scripts that convert checkpoints, compare with torch and export StableHLO."""

import argparse
import contextlib
import errno
import os
import pickle
import struct
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np
import pytest
import safetensors.numpy

from cnnjax import models
from scripts import check_torch_parity, convert_torch_weights, export_model
from scripts.convert_torch_weights import find_state_dict
from tests.helpers.processes import run_python
from tests.models.test_weights_load import MODEL, Explosive, variables_for

ARRAY = np.ones(2, np.float32)


def is_array(value):
    return isinstance(value, np.ndarray)


@pytest.mark.parametrize(
    ("checkpoint", "entry"),
    [
        ({"a": ARRAY, "b": ARRAY}, None),
        ({"module.a": ARRAY, "module.b": ARRAY}, None),
        ({"epoch": 3, "state_dict": {"a": ARRAY, "b": ARRAY}, "best": ARRAY}, None),
        (
            {
                "model": {"module.a": ARRAY, "module.b": ARRAY},
                "optimizer": {"state": {0: {"momentum": ARRAY}}, "param_groups": [{"lr": 0.1}]},
                "args": argparse.Namespace(),
            },
            None,
        ),
        ({"model": {"c": ARRAY}, "ema": {"n": ARRAY, "module.a": ARRAY, "module.b": ARRAY}}, "ema"),
        ({"nets": {"first": {"a": ARRAY, "b": ARRAY}, "second": {"a": ARRAY}}}, "nets.first"),
    ],
)
def test_weights_are_found_in_every_kind_of_checkpoint(checkpoint, entry):
    assert set(find_state_dict(checkpoint, is_array, entry)) == {"a", "b"}


@pytest.mark.parametrize(
    ("checkpoint", "entry", "message"),
    [
        ({"model": {"a": ARRAY}, "ema": {"a": ARRAY}}, None, "--entry, one of .'model', 'ema'"),
        ({"model": {"a": ARRAY}}, "net", "no entry 'net'; there are model"),
        ({"epoch": 3, "args": None}, None, "no tensors by name.*epoch, args"),
        ([ARRAY], None, "only a list"),
        ({0: ARRAY, "a": ARRAY}, None, "names of tensors are texts, got 0"),
        ({"model": {"a": ARRAY, (1,): ARRAY}}, None, r"names of tensors are texts, got \(1,\)"),
    ],
)
def test_checkpoints_without_one_set_of_weights_are_refused(checkpoint, entry, message):
    with pytest.raises(ValueError, match=message):
        find_state_dict(checkpoint, is_array, entry)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_torch_checkpoint_is_converted(legacy, torch, tmp_path):
    variables = variables_for(MODEL)
    target = tmp_path / "weights.safetensors"
    models.export_torchvision(MODEL, variables, target)
    state = {
        f"module.{name}": torch.from_numpy(array.copy())
        for name, array in safetensors.numpy.load_file(target).items()
    }
    target.unlink()
    source = tmp_path / "checkpoint.pth"
    checkpoint = {
        "model": state,
        "optimizer": {"state": {0: {"step": torch.ones(())}}, "param_groups": []},
        "args": argparse.Namespace(lr=0.1),
        "epoch": 90,
    }
    torch.save(checkpoint, source, _use_new_zipfile_serialization=not legacy)
    convert_torch_weights.convert(source, target)
    jax.tree.map(np.testing.assert_array_equal, models.load_pretrained(MODEL, target), variables)


def stand_in(monkeypatch, load):
    """Puts a module in torch's place, whose `load` is given."""
    torch: Any = types.ModuleType("torch")
    torch.load, torch.is_tensor = load, is_array
    torch.serialization = types.SimpleNamespace(safe_globals=lambda _: contextlib.nullcontext())
    monkeypatch.setitem(sys.modules, "torch", torch)


@pytest.mark.parametrize("error", [KeyError("x"), struct.error("x"), EOFError(), IndexError("x")])
def test_a_damaged_checkpoint_is_named(error, monkeypatch, tmp_path):
    def load(*_, **__):
        raise error

    stand_in(monkeypatch, load)
    source, target = tmp_path / "a.pth", tmp_path / "a.safetensors"
    source.write_bytes(b"\x80\x02cut")
    with pytest.raises(SystemExit, match=r"a\.pth cannot be read .*If it is damaged"):
        convert_torch_weights.convert(source, target)
    source.write_bytes(b"")
    with pytest.raises(SystemExit, match=r"a\.pth is empty"):
        convert_torch_weights.convert(source, target)
    assert not target.exists()


@pytest.mark.parametrize("damage", ["a bit", "a bit of the directory", "compressed"])
def test_a_damaged_archive_is_refused_before_it_is_read(damage, monkeypatch, tmp_path):
    stand_in(monkeypatch, lambda *_, **__: {"a": ARRAY.view(Tensor)})
    source = tmp_path / "a.pth"
    kind = zipfile.ZIP_DEFLATED if damage == "compressed" else zipfile.ZIP_STORED
    with zipfile.ZipFile(source, "w", kind) as archive:
        archive.writestr("a/data.pkl", b"pickle")
        archive.writestr("a/data/0", bytes(100))
    content = bytearray(source.read_bytes())
    if damage != "compressed":
        content[content.index(bytes(50)) if damage == "a bit" else content.index(b"PK\1\2")] ^= 1
        source.write_bytes(content)
    expected = {"a bit": "another checksum", "compressed": "data.pkl is compressed"}
    with pytest.raises(SystemExit, match=expected.get(damage, "a damaged archive")):
        convert_torch_weights.convert(source, tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists()


def test_a_safetensors_file_is_not_converted(monkeypatch, tmp_path):
    stand_in(monkeypatch, pytest.fail)
    source = tmp_path / "a.safetensors"
    safetensors.numpy.save_file({"a": ARRAY}, source)
    with pytest.raises(SystemExit, match="a safetensors file already"):
        convert_torch_weights.convert(source, tmp_path / "b.safetensors")


class Tensor(np.ndarray):
    """An array with the methods of torch's tensors that the conversion calls."""

    is_quantized = is_meta = False

    def detach(self):
        return self

    clone = contiguous = detach

    def is_complex(self):
        return np.iscomplexobj(self)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": ARRAY.view(Tensor) * 1j}, "'a' cannot be converted: its values are complex64"),
        ({"\udce9": ARRAY.view(Tensor)}, "cannot be converted: .*surrogates"),
        ({"a": ARRAY}, "'a' cannot be converted: .*detach"),
        ({"a": ARRAY.view(Tensor)}, r"b\.safetensors cannot be written: .*No space left"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file(state, message, monkeypatch, tmp_path):
    def save_file(copies, path, metadata):
        Path(path).write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    stand_in(monkeypatch, lambda *_, **__: state)
    module: Any = types.ModuleType("safetensors.torch")
    module.save_file = save_file
    monkeypatch.setitem(sys.modules, "safetensors.torch", module)
    monkeypatch.setattr(safetensors, "torch", module, raising=False)
    source, target = tmp_path / "a.pth", tmp_path / "b.safetensors"
    source.write_bytes(b"x")
    target.write_text("old")
    with pytest.raises(SystemExit, match=message):
        convert_torch_weights.convert(source, target)
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pth", "b.safetensors"]


def test_a_torch_checkpoint_with_code_is_not_executed(torch, tmp_path):
    for number, legacy in enumerate((False, True)):
        source = tmp_path / f"checkpoint{number}.pth"
        torch.save({"a": Explosive()}, source, _use_new_zipfile_serialization=not legacy)
        with pytest.raises(SystemExit, match="nothing in it was executed") as caught:
            convert_torch_weights.convert(source, tmp_path / "weights.safetensors")
        # PyTorch's own message also explains, in bold, how to execute it.
        assert "weights_only" not in str(caught.value)
        assert str(caught.value).isprintable()
    source.write_bytes(pickle.dumps(Explosive(), protocol=2))
    with pytest.raises(SystemExit, match="nothing in it was executed"):
        convert_torch_weights.convert(source, tmp_path / "weights.safetensors")
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize(
    "command",
    [
        ["scripts.convert_torch_weights", "a.pth", "a.safetensors"],
        ["scripts.check_torch_parity", "resnet18"],
    ],
)
def test_without_torch_the_scripts_name_what_to_install(command):
    hide = "import sys, runpy; sys.modules['torch'] = None; sys.argv = sys.argv[1:]; "
    run = "runpy.run_module(sys.argv[0], run_name='__main__')"
    done = run_python("-c", hide + run, *command)
    assert done.returncode == 1
    assert "pip install torch" in done.stderr
    assert "Traceback" not in done.stderr


def test_rows_of_another_run_are_kept():
    old = [("tv a", "a", "2x2", "logits", "1", "1e-6", "2e-6"), ("tv b", *["x"] * 6)]
    before = check_torch_parity.report(old, ["first"], "torch 2")
    new = [("tv a", "a", "2x2", "logits", "1", "3e-6", "4e-6"), ("tv c", *["y"] * 6)]
    rows, commands = check_torch_parity.merged(new, ["second"], before)
    assert rows == [new[0], old[1], new[1]]
    assert commands == ["first", "second"]
    again = check_torch_parity.report(rows, commands, "torch 2")
    assert check_torch_parity.merged([], ["second"], again) == (rows, commands)


def test_an_exported_network_is_read_again_with_the_same_logits(tmp_path):
    variables = variables_for(MODEL)
    path = tmp_path / "network.stablehlo"
    assert export_model.export(MODEL, variables, (33, 46, 3), path) <= 1e-5
    exported = jax.export.deserialize(bytearray(path.read_bytes()))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    images = np.random.default_rng(1).normal(size=(3, 33, 46, 3)).astype(np.float32)
    expected = jax.jit(MODEL.apply)(variables, images)
    np.testing.assert_allclose(exported.call(images), expected, rtol=1e-5, atol=1e-5)


def test_a_missing_folder_is_an_error_before_anything_is_exported(tmp_path, monkeypatch):
    output = tmp_path / "none" / "lenet5.stablehlo"
    monkeypatch.setattr(sys, "argv", ["export_model.py", "lenet5", str(output)])
    monkeypatch.setattr(export_model, "export", None)
    with pytest.raises(
        SystemExit, match=r"lenet5\.stablehlo cannot be written: there is no folder"
    ):
        export_model.main()


def test_a_network_without_finite_logits_leaves_no_file(tmp_path):
    model: Any = models.create_model("lenet5")
    broken = jax.tree.map(lambda leaf: leaf * np.nan, variables_for(model, size=(32, 32, 1)))
    path = tmp_path / "network.stablehlo"
    with pytest.raises(SystemExit, match="no file is left"):
        export_model.export(model, broken, (32, 32, 1), path, ["cpu"])
    assert not path.exists()


def test_the_command_exports_loaded_weights(tmp_path, monkeypatch, capsys):
    model: Any = models.create_model("lenet5")
    weights = tmp_path / "weights.safetensors"
    models.save_pretrained(variables_for(model, size=(32, 32, 1)), weights)
    output = tmp_path / "lenet5.stablehlo"
    arguments = ["lenet5", str(output), f"--weights={weights}", "--source=cnnjax"]
    monkeypatch.setattr(sys, "argv", ["export_model.py", *arguments, "--platforms", "cpu"])
    export_model.main()
    assert "the logits differ by" in capsys.readouterr().out
    assert jax.export.deserialize(bytearray(output.read_bytes())).in_avals[0].shape[1:] == (
        32,
        32,
        1,
    )
