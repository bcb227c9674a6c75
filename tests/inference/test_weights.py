"""Networks from a name and a file of weights, without a run."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from cnnjax import data, inference, models, training
from cnnjax.data.classes import imagenet_names
from cnnjax.models import registry
from tests.helpers.processes import start_python
from tests.helpers.registries import keep_as_it_is
from tests.models.shapes import drawn

SMALL: dict[str, Any] = {"blocks": (1, 1), "widths": (64, 8)}
NAMES = ("ants", "bees", "cats")


class Tiny(linen.Module):
    """As another project may have it: neither a `Net`, nor with our names."""

    num_classes: int = 3

    @linen.compact
    def __call__(self, x, deterministic):
        x = linen.relu(linen.Conv(4, (3, 3), strides=2)(x)).mean(axis=(1, 2))
        return linen.Dense(self.num_classes)(linen.Dropout(0.5, deterministic=deterministic)(x))


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    keep_as_it_is(registry.MODELS, monkeypatch)
    models.register_model("test_tiny", input_size=(16, 16, 3))(Tiny)


def resnet(classes):
    model: Any = models.create_model("resnet18", classes, **SMALL)
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    return model, drawn(jax.eval_shape(model.init, jax.random.key(0), images))


@pytest.fixture
def own_file(tmp_path):
    model = Tiny()
    variables = model.init(jax.random.key(0), jnp.zeros((1, 16, 16, 3)), deterministic=True)
    path = tmp_path / "tiny.safetensors"
    models.save_pretrained(variables, path)
    return path, model, variables


@pytest.mark.parametrize("source", ["cnnjax", "torchvision"])
def test_the_source_is_recognized_by_the_tensors_names(tmp_path, source):
    model, variables = resnet(3)
    path = tmp_path / "weights.safetensors"
    if source == "cnnjax":
        models.save_pretrained(variables, path)
    else:
        models.export_torchvision(model, variables, path)
    network = inference.from_weights("resnet18", path, class_names=NAMES, **SMALL)
    assert network.config["source"] == source
    assert network.image_shape == (224, 224, 3)
    jax.tree.map(np.testing.assert_array_equal, network.variables, variables)
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    info = models.model_info("resnet18")
    inputs = (images / 255 - np.array(info.mean)) / np.array(info.std)
    expected = model.apply(variables, jnp.asarray(inputs, jnp.float32), train=False)
    np.testing.assert_allclose(
        network.predict(images), jax.nn.log_softmax(expected), rtol=1e-3, atol=1e-4
    )


def test_a_thousand_classes_have_imagenets_english_names(tmp_path):
    model, variables = resnet(1000)
    path = tmp_path / "weights.safetensors"
    models.export_torchvision(model, variables, path)
    network: Any = inference.from_weights("resnet18", path, **SMALL)
    assert network.task.class_names == imagenet_names()
    logs = np.full(1000, -10.0, np.float32)
    logs[[0, 1]] = [0.0, -1.0]
    assert network.task.answer(logs).line.startswith("tench 100.00%, goldfish 36.79%")


def test_a_network_of_another_project_is_evaluated_on_a_folder(own_file, photographs):
    path, model, variables = own_file
    network: Any = inference.from_weights("test_tiny", path, data_name=f"folder:{photographs}")
    assert network.task.class_names == NAMES
    assert network.form.framing.crop == 16
    metrics = network.evaluate()
    images, labels = (network.examples.column(part) for part in ("image", "label"))
    assert images.shape == (7, 16, 16, 3)
    logits = model.apply(variables, network.inputs(images), deterministic=True)
    assert metrics["accuracy"] == pytest.approx((logits.argmax(axis=1) == labels).mean())
    evaluation = inference.Ensemble((network,)).assess()
    assert evaluation.metrics["accuracy"] == pytest.approx(metrics["accuracy"])
    assert evaluation.metrics["nll"] == pytest.approx(metrics["loss"], rel=1e-4)


def test_what_is_missing_or_does_not_fit_is_named(own_file, tmp_path):
    path = own_file[0]
    with pytest.raises(training.ConfigError, match=r"there is no file .*gone\.safetensors"):
        inference.from_weights("test_tiny", tmp_path / "gone.safetensors")
    with pytest.raises(training.ConfigError, match="did you mean resnet18"):
        inference.from_weights("resnet81", path)
    with pytest.raises(training.ConfigError, match=r"as cnnjax: .*does not fit Tiny.*another sha"):
        inference.from_weights("test_tiny", path, class_names=tuple("abcd"))
    with pytest.raises(training.ConfigError) as raised:
        inference.from_weights("resnet18", path, class_names=NAMES, **SMALL)
    # What each source would have needed.
    assert all(f"as {source}: " in str(raised.value) for source in ("cnnjax", "torchvision"))
    with pytest.raises(training.ConfigError, match="as cnnjax") as raised:
        inference.from_weights("resnet18", path, "cnnjax", class_names=NAMES, **SMALL)
    assert "as torchvision" not in str(raised.value)
    with pytest.raises(training.ConfigError, match="as torch: "):
        inference.from_weights("test_tiny", path, "torch", class_names=NAMES)
    network = inference.from_weights("test_tiny", path, class_names=NAMES)
    with pytest.raises(training.ConfigError, match="without examples; name some, such as --data"):
        network.evaluate()


def test_a_folder_of_other_classes_is_refused(own_file, photographs):
    given = {"class_names": ("dog", "cow", "owl"), "data_name": f"folder:{photographs}"}
    with pytest.raises(training.ConfigError, match=r"classes ants, bees, cats of .* are none of"):
        inference.from_weights("test_tiny", own_file[0], **given)


@pytest.mark.process
def test_the_programs_take_a_network_and_its_weights(photographs, tmp_path):
    model = models.create_model("resnet8_cifar", 3)
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    path = tmp_path / "weights.safetensors"
    models.save_pretrained(drawn(jax.eval_shape(model.init, jax.random.key(0), images)), path)
    photo = tmp_path / "photo.png"
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(photo)
    given = ("--model=resnet8_cifar", f"--weights={path}", f"--data=folder:{photographs}")
    programs = [
        start_python("-m", f"experiments.{program}", *given, *more)
        for program, *more in (("evaluate",), ("predict", str(photo)))
    ]
    (evaluated, problem), (predicted, other) = (p.communicate(timeout=300) for p in programs)
    assert [program.returncode for program in programs] == [0, 0], problem + other
    assert evaluated.startswith("test accuracy")
    assert ["images", "7"] in [line.split() for line in evaluated.splitlines()]
    assert evaluated.splitlines()[-1].endswith(f"resnet8_cifar of {path} (cnnjax)")
    assert predicted.startswith(f"{photo}: ")
    assert all(name in predicted for name in NAMES)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([[1]], r"a list was given; .* inference\.predict_files"),
        ("a.png", "a str was given"),
        (None, "a NoneType was given"),
        (np.zeros((16, 16, 3), np.uint8), r"an array \(16, 16, 3\) was given; .*image\[None\]"),
        (np.zeros((1, 16, 16, 1), np.uint8), r"takes \[examples, height, width, 3\]"),
        (np.zeros((1, 3, 16, 16), np.uint8), r"takes \[examples, height, width, 3\]"),
        (np.zeros((0, 16, 16, 3), np.uint8), "there are none"),
        (np.zeros((1, 16, 16, 3), np.uint16), "uint16 was given; give uint8"),
        (np.zeros((1, 16, 16, 3), bool), "bool was given"),
    ],
)
def test_what_are_no_images_of_the_network_is_refused(own_file, images, message):
    path, _, _ = own_file
    network: Any = inference.from_weights("test_tiny", path, class_names=NAMES)
    for use in (network.predict, network.outputs, network.inputs):
        with pytest.raises(data.DataError, match=f"^images: .*{message}"):
            use(images)
