"""Written files hold what torchvision needs, and a failed write leaves no file."""

from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from cnnjax import models
from tests.models.test_weights_load import variables_for


def test_batch_norms_get_pytorchs_counter(tmp_path):
    model: Any = models.create_model("resnet18", 5, blocks=(1,), widths=(64,))
    path = tmp_path / "weights.safetensors"
    models.export_torchvision(model, variables_for(model), path)
    state = safetensors.numpy.load_file(path)
    norms = {name.rpartition(".")[0] for name in state if name.endswith("running_var")}
    counters = {name: array for name, array in state.items() if name.endswith("tracked")}
    assert counters.keys() == {f"{norm}.num_batches_tracked" for norm in norms}
    assert all(c.shape == () and c.dtype == np.int64 and c == 0 for c in counters.values())


def test_dense_layers_for_other_sizes_are_refused(tmp_path):
    model: Any = models.create_model("vgg11", 5, hidden=(4, 4))
    variables = variables_for(model, size=(448, 448, 3))
    path = tmp_path / "weights.safetensors"
    with pytest.raises(ValueError, match=r"fc6/kernel has shape \(100352, 4\).*224x224"):
        models.export_torchvision(model, variables, path)
    assert not list(tmp_path.iterdir())


def test_networks_that_torchvision_lacks_are_refused(tmp_path):
    model: Any = models.create_model("wrn16_4")
    with pytest.raises(ValueError, match="torchvision has no PreActResNet"):
        models.export_torchvision(model, {}, tmp_path / "weights.safetensors")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "weights.safetensors"
    models.save_pretrained({"params": {"a": np.ones(3, np.float32)}}, path)
    with pytest.raises(Exception, match=r"object|dtype|type"):
        models.save_pretrained({"params": {"a": np.array([object()])}}, path)
    assert [file.name for file in tmp_path.iterdir()] == ["weights.safetensors"]
    np.testing.assert_array_equal(safetensors.numpy.load_file(path)["params/a"], np.ones(3))
