"""The page of a network and photos, without a run."""

import re
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import inference, models, reports
from cnnjax.training import ConfigError
from tests.reports.fakes import NoConvolution, fake_network, fake_regression
from tests.reports.test_page import _Elements


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of random weights of a small network of the registry, for ImageNet's classes."""
    model = models.create_model("resnet20_cifar", 1000)
    variables = model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    models.save_pretrained(variables, path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two drawn photos of other sizes than the network's."""
    folder = tmp_path_factory.mktemp("photos")
    disc = cv2.circle(np.full((90, 120, 3), 230, np.uint8), (60, 45), 25, (30, 30, 200), -1)
    box = cv2.rectangle(np.full((100, 80, 3), 60, np.uint8), (20, 30), (60, 80), (9, 220, 9), -1)
    paths = [folder / "disc.png", folder / "box.jpg"]
    for path, pixels in zip(paths, (disc, box), strict=True):
        assert cv2.imwrite(str(path), pixels)
    return paths


def test_the_page_shows_each_photo_with_its_prediction_and_where_the_network_looks(
    weights, photos, tmp_path
):
    network: Any = inference.from_weights("resnet20_cifar", weights)
    images: dict[str, Any] = {
        read.path.name: read.image for read in inference.read_images(photos, network.form)
    }
    path = reports.write_network_page(network, images, tmp_path / "page.html")
    assert path == tmp_path / "page.html" and list(tmp_path.iterdir()) == [path]
    text = path.read_text()
    elements = _Elements(text).elements
    references = [a[k] for _, a in elements for k in ("src", "href") if k in a]
    assert all(reference.startswith(("data:", "#")) for reference in references)
    ids = [a["id"] for _, a in elements if "id" in a]
    assert ids == ["photos", "network", "kernels", "activations", "cost", "settings"]
    assert {r[1:] for r in references if r.startswith("#")} == set(ids)
    predictions = network.predict(np.stack(list(images.values())))
    shown = text.split('id="photos"')[1].split("</section>")[0]
    cards = shown.split('class="seen"')[1:]
    assert len(cards) == 2
    for card, name, logs in zip(cards, images, predictions, strict=True):
        for method in ("Grad-CAM", "Saliency"):
            assert card.count(f'alt="{method} map of {name}"') == 1
        # The likeliest classes with their probabilities, from the logits in float64.
        order = np.argsort(-logs, kind="stable")[:5]
        named = re.findall(r"<dt>(.*?)</dt>", card)
        assert named == [network.task.class_names[c].replace("'", "&#39;") for c in order]
        likeliest = 100 * np.exp(logs.astype(np.float64)[order[0]])
        assert f"{likeliest:.2f} %" in card
    # The published count of ResNet-20 for 10 classes, and 990 classes of 65 weights more.
    assert f"{269_722 + 990 * 65:,}" in text
    assert str(weights) in re.sub("<wbr>", "", text)


def test_a_network_without_classes_has_its_prediction_in_words(tmp_path):
    network: Any = fake_regression(count=3)
    images = {"one.png": network.images[0], "two.png": network.images[1]}
    network.predicted = np.array([[1.5, 2.25], [3.0, 4.0]])
    text = reports.write_network_page(network, images, tmp_path / "page.html").read_text()
    _Elements(text)
    assert "1.5, 2.25" in text and "3, 4" in text
    assert "Grad-CAM" not in text and 'alt="Saliency' not in text


def test_a_network_without_maps_has_no_grad_cam(tmp_path):
    network: Any = fake_network(model=NoConvolution(10))
    network.predicted = network.predictions[:1]
    images = {"one.png": network.images[0]}
    text = reports.write_network_page(network, images, tmp_path / "page.html").read_text()
    assert "Grad-CAM" not in text and 'alt="Saliency map of one.png"' in text
    assert 'id="kernels"' not in text


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ({}, "none was given"),
        ({"a": np.zeros((5, 5, 1), np.uint8)}, r"a has shape \(5, 5, 1\)"),
        ({"a": np.zeros((8, 8, 1), np.float32)}, "dtype float32; the network takes uint8"),
    ],
)
def test_images_of_another_form_are_refused(tmp_path, images, message):
    with pytest.raises(ValueError, match=message):
        network: Any = fake_network()
        reports.write_network_page(network, images, tmp_path / "page.html")


@pytest.mark.parametrize("output", ["page.txt", "nowhere/page.html"])
def test_a_page_that_cannot_be_written_is_refused_before_any_work(tmp_path, output):
    with pytest.raises(ConfigError, match=r"must end in \.html|nowhere does not exist"):
        reports.write_network_page(None, {}, tmp_path / output)  # pyright: ignore
