"""`cnnjax report` of a network and images: its page, and what it refuses before any work."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from cnnjax import models
from tests.helpers.processes import run_python

# Many calls in one process, of which each would take seconds to start.
CALLS = """
import json, sys
from absl import flags
from cnnjax.commands import report
outcomes = []
for arguments in json.loads(sys.argv[1]):
    for flag in flags.FLAGS:
        flags.FLAGS[flag].unparse()
    try:
        report.main(flags.FLAGS(["report", *arguments]))
        outcomes.append("done")
    except Exception as error:
        outcomes.append(f"{type(error).__name__}: {error}")
print(json.dumps(outcomes))
"""

NETWORK = ("--model=resnet8_cifar", "--weights=small.safetensors")
PAGE = "--output=page.html"

CASES = [
    ((*NETWORK, PAGE, "photo.png", "more"), "done"),
    ((*NETWORK, PAGE), "ConfigError: no image was given"),
    ((*NETWORK, "photo.png"), "ConfigError: --output: name the HTML file"),
    ((*NETWORK, "--output=nowhere/page.html", "photo.png"), "ConfigError: --output: the folder"),
    ((*NETWORK, "--output=page.pdf", "photo.png"), "must end in .html"),
    ((*NETWORK, PAGE, "photo.png", "gone.png"), "gone.png: there is no such file"),
    ((*NETWORK, PAGE, "photo.png", "text.png"), "cannot read images:\n  text.png: "),
    ((*NETWORK, PAGE, "--noanalysis", "photo.png"), "--analysis: it is for a run's page"),
    ((NETWORK[0], PAGE, "photo.png"), "--model, --weights: they go together"),
    (
        (NETWORK[0], "--weights=gone.safetensors", PAGE, "photo.png"),
        "there is no file of weights gone",
    ),
    ((*NETWORK, "--steps=3", PAGE, "photo.png"), "--steps: it is for runs"),
    ((PAGE, "photo.png"), "ConfigError: --workdir: give the folder of a run"),
    (("--workdir=a,b", PAGE, "photo.png"), "2 folders and 0 steps were given; give one folder"),
    (("--workdir=a", PAGE), "--output: it is for a page of images, and no image was given"),
    (("--workdir=a",), "RunFolderError: workdir: a is not a folder"),
    ((), "ConfigError: --workdir: give the folder of a run"),
]
"""Arguments, and what comes of them: a part of the message."""


@pytest.mark.process
def test_the_page_of_images_is_written_and_bad_input_named(tmp_path):
    model = models.create_model("resnet8_cifar", 1000)
    variables = model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    models.save_pretrained(variables, tmp_path / "small.safetensors")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    (tmp_path / "more").mkdir()
    for name in ("photo.png", "more/other.jpg"):
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "text.png").write_text("no image")
    calls = json.dumps([arguments for arguments, _ in CASES])
    done = run_python("-c", CALLS, calls, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout.splitlines()[-1])
    for (arguments, expected), outcome in zip(CASES, outcomes, strict=True):
        assert expected in outcome, (arguments, outcome)
    page = (tmp_path / "page.html").read_text()
    assert page.count('alt="Grad-CAM map of ') == 2
    assert "photo.png" in page and "more/other.jpg" in page
