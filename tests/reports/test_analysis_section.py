import re

import numpy as np
import pytest

from cnnjax import reports
from cnnjax.reports.pictures import boxed, rescaled
from tests.reports.fakes import (
    NoConvolution,
    StoredImages,
    fake_network,
    fake_regression,
    write_run_folder,
)
from tests.reports.test_page import _Elements


@pytest.mark.parametrize(
    "kind", [*(pytest.param(kind, marks=pytest.mark.slow) for kind in ("gray", "color")), "dense"]
)
def test_the_page_shows_the_analysis(tmp_path, kind):
    model = NoConvolution(10) if kind == "dense" else None
    network = fake_network(
        count=30, wrong=3, size=12, channels=3 if kind == "color" else 1, model=model
    )
    network.images = StoredImages(network.images)
    record = reports.read_run_record(write_run_folder(tmp_path))
    text = reports.render(record, network, analysis=True)
    elements = _Elements(text).elements
    ids = [a["id"] for _, a in elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {"cost", "invariance", "health", "embedding"} <= set(ids)
    # Without maps there is nothing to look at.
    assert ("looking" in ids) == (kind != "dense")
    parameters = int(
        np.sum([np.prod(v.shape) for p in network.variables["params"].values() for v in p.values()])
    )
    cost = text.split('id="cost"')[1].split("</section>")[0]
    assert f"{parameters:,} parameters" in cost
    assert len(text) < 1_500_000
    if kind == "gray":
        looking = text.split('id="looking"')[1].split("</section>")[0]
        for method in ("Saliency map", "Grad-CAM map", "Occlusion map"):
            assert len(re.findall(f'alt="{method}', looking)) == 5
        assert looking.count('alt="Image with a high score of') == 10
        assert looking.count('alt="Deconvnet projection') == 8


def test_analysis_without_classes_leaves_out_what_needs_them(tmp_path):
    network = fake_regression(count=30)
    record = reports.read_run_record(write_run_folder(tmp_path))
    text = reports.render(record, network, analysis=True)
    elements = _Elements(text).elements
    ids = {a["id"] for _, a in elements if "id" in a}
    assert {"cost", "looking", "health", "embedding", "points"} <= ids
    assert "invariance" not in ids and 'href="#invariance"' not in text
    main = text.split("<main>")[1]
    words = re.sub(r"<[^>]*>", "", main)
    for word in ("Grad-CAM", "Saliency", "idea of a class", "blue if", "accuracy", "label"):
        assert word not in words
    assert ">gradient<" not in main
    assert "example_losses, or loss where there is not one" in words
    assert main.count('alt="Deconvnet projection') == 8


def test_box_is_cut_at_the_border():
    assert boxed(np.zeros((8, 8)), (-3, 2), (20, 20), side=64).startswith("data:image/png")


def test_rescaled_fills_the_range_and_survives_constants():
    picture = rescaled(np.array([[[-3.0], [1.0]]]))
    assert picture.tolist() == [[[0.0], [1.0]]]
    assert not rescaled(np.full((2, 2, 3), 5.0)).any()
