"""The CIFAR-10 speedrun: each of its parts does what the protocol says, and a small run works."""

import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from cnnjax import data, training
from experiments import cifar10_speedrun
from experiments.speedrun import network, trials, views
from experiments.speedrun.batches import Batches, draw_batches, pad_by_reflection, take_batch
from experiments.speedrun.optimizer import blend, lookahead_decays, make_optimizer, triangle
from experiments.speedrun.programs import make_programs
from experiments.speedrun.recipes import RECIPES, Lookahead
from experiments.speedrun.run import Run, State, StepInput
from experiments.speedrun.whitening import whitening_kernel

SIZE = 16
draw = jax.jit(draw_batches, static_argnums=(1, 2, 3, 4))


@pytest.fixture(autouse=True, scope="module")
def promotion_and_keys():
    """optax mixes dtypes in its own arithmetic; these keys' programs compile fast on CPU."""
    with jax.numpy_dtype_promotion("standard"), jax.default_prng_impl("rbg"):
        yield


def test_whitening_kernels_whiten_patches():
    rng = np.random.default_rng(0)
    images = rng.standard_normal((40, 6, 6, 3)) @ rng.standard_normal((3, 3))
    images[:, 1:] += images[:, :-1]
    kernel = np.asarray(jax.jit(whitening_kernel)(jnp.asarray(images, jnp.float32), 1e-6))
    assert kernel.shape == (2, 2, 3, 24)
    windows = np.lib.stride_tricks.sliding_window_view(images, (2, 2), axis=(1, 2))
    outputs = np.einsum("nyxchw,hwco->nyxo", windows, kernel).reshape(-1, 24)
    moments = outputs[:, :12].T @ outputs[:, :12] / len(outputs)
    np.testing.assert_allclose(moments, np.eye(12), atol=2e-3)
    np.testing.assert_array_equal(kernel[..., 12:], -kernel[..., :12])


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 9), (5, 2)])
def test_partial_identity_hands_channels_on(inputs, outputs):
    kernel = jax.jit(network.partial_identity, static_argnums=1)(
        jax.random.key(0), (3, 3, inputs, outputs)
    )
    x = jax.random.normal(jax.random.key(1), (2, 5, 5, inputs))
    y = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    kept = min(inputs, outputs)
    np.testing.assert_allclose(y[..., :kept], x[..., :kept], atol=1e-6)
    others = np.asarray(kernel[..., kept:])
    bound = 1 / math.sqrt(9 * inputs)
    assert np.all(np.abs(others) <= bound)
    if others.size:
        assert np.std(others) == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_the_network_is_as_large_as_published_and_begins_as_stated():
    shapes = jax.eval_shape(
        lambda key: network.SpeedNet().init(key, jnp.zeros((1, 32, 32, 3)), train=False),
        jax.random.key(0),
    )
    sizes = {
        jax.tree_util.keystr(path, simple=True, separator="/"): math.prod(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(shapes["params"])
    }
    # 1.97 million (arXiv 2404.00498, section 3.1), without the scales, which are not trained.
    counted = sum(size for path, size in sizes.items() if not path.endswith("scale"))
    assert round(counted / 1e6, 2) == 1.97
    assert sizes["block1/conv1/kernel"] == 9 * 24 * 64
    assert sizes["block3/conv2/kernel"] == 9 * 256 * 256


def test_every_epoch_shows_each_image_once_and_mirrors_it_in_turn():
    examples, epochs = 12, 4
    drawn = draw(jax.random.key(3), examples, 4, 3 * epochs, 2)
    positions = np.asarray(drawn.positions).reshape(epochs, examples)
    mirrored = np.asarray(drawn.mirrored).reshape(epochs, examples)
    by_image = np.empty((epochs, examples), bool)
    for epoch in range(epochs):
        assert sorted(positions[epoch]) == list(range(examples))
        by_image[epoch, positions[epoch]] = mirrored[epoch]
    assert len({tuple(row) for row in positions}) == epochs
    for epoch in range(1, epochs):
        np.testing.assert_array_equal(by_image[epoch], ~by_image[epoch - 1])
    assert 0 < by_image[0].sum() < examples
    shifts = np.asarray(drawn.shifts)
    assert shifts.shape == (3 * epochs, 4, 2) and set(shifts.flat) == {0, 1, 2, 3, 4}


def test_what_is_left_of_an_epoch_is_dropped_and_the_last_epoch_may_be_cut_short():
    positions = np.asarray(draw(jax.random.key(0), 11, 4, 5, 1).positions)
    assert positions.shape == (5, 4)
    for epoch in (positions[:2], positions[2:4], positions[4:]):
        assert len(set(epoch.flat)) == epoch.size


def test_batches_are_cut_from_reflected_images_and_mirrored():
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), np.uint8)
    batch = Batches(
        jnp.array([4, 0, 4]), jnp.array([[0, 4], [2, 2], [3, 1]]), jnp.array([True, False, False])
    )
    found = jax.jit(lambda x, batch: take_batch(pad_by_reflection(x, 2), batch, 2))(images, batch)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    expected = [padded[4, 0:6, 4:11][:, ::-1], padded[0, 2:8, 2:9], padded[4, 3:9, 1:8]]
    assert found.dtype == jnp.uint8
    np.testing.assert_array_equal(found, np.stack(expected))


def test_learning_rates_rise_to_the_peak_and_fall():
    schedule = triangle(476, *RECIPES["sgd"].ramp)
    steps = np.arange(476)
    expected = np.interp(steps, [0, int(0.23 * 476), 476], [0.2, 1.0, 0.07])
    np.testing.assert_allclose([schedule(step) for step in steps[::25]], expected[::25], rtol=1e-5)
    falling = triangle(200, *RECIPES["muon"].ramp)
    assert [falling(step) for step in (0, 50, 199)] == pytest.approx([1, 0.75, 1 / 200])


def test_recipes_have_the_published_lengths_and_rates():
    muon, sgd = RECIPES["muon"], RECIPES["sgd"]
    assert (muon.total_steps(50_000), sgd.total_steps(50_000)) == (200, 476)
    assert (muon.whitening_steps(50_000), sgd.whitening_steps(50_000)) == (75, 144)
    assert sgd.rates["head"] == pytest.approx(11.5 / (1024 * (1 + 1 / 0.15)))
    assert sgd.decay == pytest.approx(0.0153 / (1 + 1 / 0.15))
    assert muon.resized(None, 1000).decay == pytest.approx(0.002)
    assert muon.resized(0.5, 10).total_steps(100) == 5
    with pytest.raises(training.ConfigError, match="--batch_size: 2000 is more than the 10"):
        muon.epoch_steps(10)


def test_the_slow_copy_is_blended_as_scheduled():
    # Epochs of 5 steps; it begins in the second.
    decays = lookahead_decays(Lookahead(1, 2, 0.9, 2.0), total_steps=13, epoch_steps=5)
    expected = np.full(13, np.nan)
    expected[5] = 0  # after step 6 the copy is made
    for done in (8, 10, 12):
        expected[done - 1] = 0.81 * (done / 13) ** 2
    expected[12] = 1  # the run ends with the copy
    np.testing.assert_allclose(decays, expected, rtol=1e-6)
    assert np.isnan(lookahead_decays(None, 4, 2)).all()
    slow, fast = {"a": jnp.array([1.0])}, {"a": jnp.array([3.0])}
    mixed = {"a": jnp.array([2.5])}
    assert blend(slow, fast, jnp.float32(0.25)) == (mixed, mixed)
    assert blend(slow, fast, jnp.float32(np.nan)) == (slow, fast)


def small_params():
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    return {
        "whiten": {"kernel": normal(2, 2, 3, 4), "bias": normal(4)},
        "block1": {
            "conv1": {"kernel": normal(3, 3, 4, 6)},
            "norm1": {"scale": normal(6), "bias": normal(6)},
        },
        "head": {"kernel": normal(6, 10)},
    }


def test_sgd_steps_are_nesterov_s_with_decoupled_settings():
    recipe = RECIPES["sgd"]
    steps, whitening_steps = 20, 2
    optimizer = make_optimizer(recipe, steps, whitening_steps)
    params = small_params()
    grads = [jax.tree.map(lambda p, n=n: (n + 1) * np.cos(p), params) for n in range(3)]
    state, moved = jax.jit(optimizer.init)(params), params
    update = jax.jit(optimizer.update)
    for grad in grads:
        updates, state = update(grad, state, moved)
        moved = jax.tree.map(np.add, moved, updates)
    factors = np.interp(range(3), [0, int(0.23 * steps), steps], [0.2, 1.0, 0.07])
    groups = {
        ("whiten", "kernel"): 0.0,
        ("whiten", "bias"): recipe.rates["whitening_bias"],
        ("block1", "conv1", "kernel"): recipe.rates["filter"],
        ("block1", "norm1", "scale"): 0.0,
        ("block1", "norm1", "bias"): 64 * recipe.rates["filter"],
        ("head", "kernel"): recipe.rates["head"],
    }
    for path, rate in groups.items():
        value, found = np.asarray(at(params, path), np.float64), at(moved, path)
        momentum = np.zeros_like(value)
        for number, grad in enumerate(grads if rate else []):
            if path == ("whiten", "bias") and number >= whitening_steps:
                continue
            slope = np.asarray(at(grad, path)) + recipe.decay / rate * value
            momentum = 0.85 * momentum + slope
            value = value - rate * factors[number] * (slope + 0.85 * momentum)
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6, err_msg=str(path))


def at(tree, path):
    for name in path:
        tree = tree[name]
    return tree


def test_muon_normalizes_filters_and_moves_them_along_flattened_singular_values():
    optimizer = make_optimizer(RECIPES["muon"], 200, 75)
    params = small_params()
    grads = jax.tree.map(np.cos, params)
    updates, _ = jax.jit(lambda g, p: optimizer.update(g, optimizer.init(p), p))(grads, params)
    kernel = np.asarray(params["block1"]["conv1"]["kernel"], np.float64)
    grad = np.asarray(grads["block1"]["conv1"]["kernel"], np.float64)
    left, values, right = np.linalg.svd(grad.reshape(-1, 6), full_matrices=False)
    values = values / np.linalg.norm(values)
    for _ in range(3):
        values = 3.4445 * values - 4.775 * values**3 + 2.0315 * values**5
    moved = kernel * np.sqrt(6) / np.linalg.norm(kernel)
    moved = moved - 0.24 * ((left * values) @ right).reshape(kernel.shape)
    found = kernel + np.asarray(updates["block1"]["conv1"]["kernel"])
    np.testing.assert_allclose(found, moved, rtol=1e-4, atol=1e-5)


def test_views_are_averaged_with_the_stated_weights():
    rng = np.random.default_rng(0)
    images = rng.standard_normal((3, 5, 5, 2)).astype(np.float32)
    weights = rng.standard_normal((50, 4)).astype(np.float32)

    def judge(x):
        # Not linear, so that the mean of the images would not do.
        return np.tanh(np.asarray(x).reshape(len(x), -1) @ weights)

    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    up, down = padded[:, :5, :5], padded[:, 2:, 2:]

    def both(x):
        return (judge(x) + judge(x[:, :, ::-1])) / 2

    plain, mean = jax.jit(
        lambda x: views.view_logits(lambda x: jnp.tanh(x.reshape(len(x), -1) @ weights), x)
    )(images)
    np.testing.assert_allclose(plain, judge(images), rtol=2e-4, atol=1e-5)
    expected = both(images) / 2 + (both(up) + both(down)) / 4
    np.testing.assert_allclose(mean, expected, rtol=2e-4, atol=1e-5)


def test_what_fills_the_last_chunk_up_is_never_right():
    images, labels = np.zeros((5, 2, 2, 3), np.uint8), np.zeros(5, np.int32)
    chunks = views.cut_into_chunks(images, labels, size=3)
    assert chunks.images.shape == (2, 3, 2, 2, 3)
    logits = jnp.tile(jnp.array([1.0, 0.0]), (3, 1))
    assert sum(int(views.count_right(logits, part)) for part in chunks.labels) == 5


def pictures(count, seed):
    """Two classes, told apart by which half is bright, with noise."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 2).astype(np.int32)
    images = rng.integers(0, 80, (count, SIZE, SIZE, 3))
    images[labels == 1, : SIZE // 2] += 150
    images[labels == 0, SIZE // 2 :] += 150
    return images.astype(np.uint8), labels


# Everything that a recipe may ask for, within three epochs.
RECIPE = dataclasses.replace(
    RECIPES["muon"].resized(epochs=3, batch_size=8), lookahead=Lookahead(1, 2, 0.9, 2.0)
)
PREPROCESS = data.Preprocess(None, 0, (0.5,) * 3, (0.25,) * 3)


@pytest.fixture(scope="module")
def both_ways():
    """The variables and losses of one small run, its right answers, and its programs."""
    run = Run(RECIPE, network.SpeedNet(width=2, num_classes=2), PREPROCESS, examples=36)
    train, test = pictures(36, seed=0), pictures(6, seed=1)
    found = {}
    for way in ("whole", "step"):
        programs = make_programs(run, *train, views.cut_into_chunks(*test, size=4), way)
        variables, losses = programs.train(jax.random.key(0))
        found[way] = variables, losses, programs.evaluate(variables), programs
    return found


def test_one_program_and_one_a_step_train_the_same(both_ways):
    (whole, whole_losses, whole_right, _), (step, step_losses, step_right, _) = both_ways.values()
    assert whole_losses.shape == (12,)
    np.testing.assert_allclose(whole_losses, step_losses, rtol=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), whole, step)
    assert [int(n) for n in whole_right] == [int(n) for n in step_right]


def test_two_classes_are_learned(both_ways):
    _, losses, right, _ = both_ways["step"]
    assert np.mean(losses[-2:]) < 0.9 * np.mean(losses[:2])
    assert int(right[1]) >= 5


def test_a_seed_repeats_itself_and_another_differs(both_ways):
    variables, losses, _, programs = both_ways["step"]
    again, same_losses = programs.train(jax.random.key(0))
    np.testing.assert_array_equal(losses, same_losses)
    jax.tree.map(np.testing.assert_array_equal, variables, again)
    assert not np.array_equal(losses, programs.train(jax.random.key(1))[1])


def test_the_whitening_layer_keeps_the_kernel_that_was_computed(both_ways):
    variables = both_ways["step"][0]
    images = (pictures(36, seed=0)[0] / 255 - 0.5) / 0.25
    windows = np.lib.stride_tricks.sliding_window_view(images, (2, 2), axis=(1, 2))
    kernel = np.asarray(variables["params"]["whiten"]["kernel"])
    outputs = np.einsum("nyxchw,hwco->nyxo", windows, kernel).reshape(-1, 24)[:, :12]
    moments = outputs.T @ outputs / len(outputs)
    np.testing.assert_allclose(moments, np.eye(12), atol=0.02)


def test_no_gradient_reaches_the_whitening_layer_once_it_is_frozen(both_ways):
    variables = both_ways["step"][0]
    model = network.SpeedNet(width=2, num_classes=2)

    def loss(whiten):
        logits = model.apply(
            {**variables, "params": {**variables["params"], "whiten": whiten}},
            jnp.ones((2, SIZE, SIZE, 3)),
            train=False,
            train_whitening=False,
        )
        return jnp.square(logits).sum()

    grads = jax.jit(jax.grad(loss))(variables["params"]["whiten"])
    assert not np.any(grads["bias"]) and not np.any(grads["kernel"])


class Phases(Run):
    """A run whose losses tell whether the whitening layer was trained."""

    def begin(self, key, images):
        del key
        given = StepInput(Batches(*[jnp.zeros(self.total_steps)] * 3), jnp.zeros(self.total_steps))
        return State(jnp.zeros(()), (), (), ()), given, images

    def step(self, state, given, padded, labels, train_whitening):
        del given, padded, labels
        return state._replace(params=state.params + 1), jnp.float32(train_whitening)

    def evaluate_chunk(self, variables, chunk):
        del chunk
        return variables["params"], variables["params"]


@pytest.mark.parametrize("way", ["whole", "step"])
@pytest.mark.parametrize(("epochs", "trained"), [(3.5, 4), (1, 2)])
def test_the_whitening_layer_is_trained_in_the_first_epochs_alone(way, epochs, trained):
    recipe = dataclasses.replace(RECIPES["sgd"].resized(epochs, 4), whitening_epochs=2)
    run = Phases(recipe, network.SpeedNet(), PREPROCESS, examples=9)
    train = pictures(9, seed=0)
    programs = make_programs(run, *train, views.cut_into_chunks(*train), way)
    variables, losses = programs.train(jax.random.key(0))
    total = int(2 * epochs)
    assert losses.tolist() == [1.0] * trained + [0.0] * (total - trained)
    assert int(variables["params"]) == total


def as_examples(images, labels):
    return data.from_arrays(image=images, label=labels)


def run_main(monkeypatch, *arguments):
    parsed = flags.FLAGS
    monkeypatch.setattr(
        data,
        "load_arrays",
        lambda dataset, split, folder: as_examples(
            *pictures(36 if split == "train" else 6, split == "test")
        ),
    )
    before = flagsaver.save_flag_values()
    try:
        parsed(["cifar10_speedrun", *arguments])
        cifar10_speedrun.main([])
    finally:
        flagsaver.restore_flag_values(before)
        parsed.unparse_flags()


def test_all_seeds_of_a_speedrun_are_recorded(both_ways, tmp_path, monkeypatch, capsys):
    runs = []

    def compiled_before(run, images, labels, chunks, dispatch):
        runs.append((run, dispatch))
        return both_ways["step"][3]

    monkeypatch.setattr(cifar10_speedrun, "make_programs", compiled_before)
    output = tmp_path / "speedrun.json"
    run_main(
        monkeypatch,
        "--seeds=3",
        "--width=2",
        "--batch_size=12",
        "--epochs=4",
        "--precision=float16",
        f"--output={output}",
    )
    ((run, dispatch),) = runs
    assert (run.model.width, run.model.dtype, run.model.num_classes) == (2, jnp.float16, 10)
    assert (run.total_steps, run.whitening_steps, dispatch) == (12, 9, "auto")
    record = json.loads(output.read_text())
    assert [trial["seed"] for trial in record["trials"]] == [0, 1, 2]
    assert record["trials"][0]["loss"] == pytest.approx(float(both_ways["step"][1][-1]))
    assert record["trials"][0]["accuracy"] == int(both_ways["step"][2][1]) / 6
    accuracies = [trial["accuracy"] for trial in record["trials"]]
    assert record["summary"]["mean_accuracy"] == pytest.approx(np.mean(accuracies))
    assert record["summary"]["accuracy_deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    page = output.with_suffix(".md").read_text()
    assert "Recipe muon, float16, 36 training and 6 test images" in page
    assert "3 runs: accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs=0"], r"--epochs: 0.0 is not positive"),
        (["--train_examples=100"], r"--train_examples: 100 is more than the 36 train images"),
        (["--batch_size=50"], r"--batch_size: 50 is more than the 36 training images"),
        (["--output=runs.txt"], r"--output: runs.txt must end in .json"),
    ],
)
def test_wrong_flags_are_refused_before_any_work(monkeypatch, arguments, message):
    with pytest.raises(training.ConfigError, match=message):
        run_main(monkeypatch, *arguments)


def test_a_missing_dataset_is_told_with_the_command_that_prepares_it(tmp_path):
    with pytest.raises(data.DataError, match=r"scripts.prepare_data cifar10 --data_dir="):
        data.load_arrays(data.dataset("cifar10"), "train", str(tmp_path))


def test_a_loss_that_is_not_finite_ends_the_trials():
    class Programs:
        @staticmethod
        def train(key):
            return {}, jnp.array([1.0, jnp.nan, 2.0])

        @staticmethod
        def evaluate(variables):
            return jnp.int32(1), jnp.int32(1)

    with pytest.raises(training.TrainingDiverged, match="seed 0: the loss of step 2 of 3 is nan"):
        list(trials.run_trials(Programs, 1, 10, warm_up=False))
