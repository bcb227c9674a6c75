"""A task, a dataset and a configuration in one file outside cnnjax, from training to report."""

from pathlib import Path

import jax
import numpy as np
import pytest
from scipy import ndimage

from cnnjax import data, inference, recipes, reports, training
from experiments import center_of_mass


@pytest.fixture(autouse=True)
def digits(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path_factory.getbasetemp() / "tfds"))
    with jax.numpy_dtype_promotion("standard"):
        yield


def test_the_file_has_less_than_100_lines():
    assert len(Path(center_of_mass.__file__).read_text().splitlines()) < 100


def test_centers_are_those_of_the_ink():
    test = center_of_mass.load().test
    assert test is not None
    images = data.load_arrays(data.dataset("digits"), "test").column("image")
    np.testing.assert_array_equal(test.column("image"), images)
    for image, center in zip(images[:20, :, :, 0], test.column("center"), strict=False):
        expected = (np.array(ndimage.center_of_mass(image.astype(np.float64))) + 0.5) / 8
        np.testing.assert_allclose(center, expected, rtol=1e-6)


def test_it_is_trained_evaluated_and_reported(tmp_path):
    config = center_of_mass.get_config()
    config.data.train_examples, config.data.validation_examples = 512, 128
    config.data.batch_size, config.epochs = 32, 1
    run = recipes.make_run(config)
    result = training.fit(run, tmp_path, progress=False)
    network = inference.load(tmp_path)
    assert network.evaluate() == pytest.approx(result.metrics, rel=1e-5)
    evaluated = network.evaluated()
    away = np.linalg.norm(evaluated.predictions - evaluated.parts["center"], axis=-1)
    assert result.metrics["distance"] == pytest.approx(away.mean(), rel=1e-5)
    assert result.metrics["loss"] == pytest.approx((away**2).mean(), rel=1e-5)
    # A network that gives zeros is off by 0.7.
    assert result.metrics["distance"] < 0.3
    assert {name for name, _ in result.lines} == {"validation loss", "validation distance"}
    page = reports.write_report(tmp_path).read_text()
    assert "Mean distance" in page and f"{away.mean():.4f}" in page
    assert "Centers of mass" in page
