"""The names and shapes that the tables name are those of the libraries' own state dicts."""

import hashlib
from typing import Any

import pytest

from cnnjax import models
from cnnjax.models.weights.sources import find_table, shapes_at
from cnnjax.models.weights.tables import slots
from tests.models.torch_names import STATE_DICTS

# Traced for seconds each, and no other kinds of layers than in the others.
SLOW = (
    *(("torchvision", name) for name in ("resnet101", "resnet152", "wide_resnet101_2")),
    *(("timm", name) for name in ("resnet34", "resnet50", "inception_v3")),
    *(("timm", name) for name in ("preact_resnet101", "preact_resnet152", "densenet121")),
    *(("torchvision", f"densenet{depth}") for depth in (161, 169, 201)),
    *(("torchvision", f"mobilenet_v2_{percent}") for percent in ("075", "140")),
    *(("timm", f"mobilenet_v2_{percent}") for percent in ("050", "140")),
    ("torchvision", "fcn_resnet50"),
)
CASES = [
    pytest.param(*case, *digest, marks=[pytest.mark.slow] if case[:2] in SLOW else [])
    for case, digest in STATE_DICTS.items()
]


@pytest.mark.parametrize(("source", "name", "variant", "overrides", "count", "digest"), CASES)
def test_names_and_shapes_are_the_librarys(source, name, variant, overrides, count, digest):
    model: Any = models.create_model(name, variant=variant, **dict(overrides))
    table = find_table(model, source)
    places = slots(model, table.rules_for(model), shapes_at(model, table.input_size))
    lines = sorted(f"{place.name} {place.layout.their_shape(place.shape)}" for place in places)
    assert len(lines) == count
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == digest
