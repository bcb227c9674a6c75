import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from cnnjax.data import example_keys, parse_policy

RNG = np.random.default_rng(0)
SIZE = 8
BATCH = {
    "image": jnp.asarray(RNG.uniform(size=(SIZE, 2, 2, 1)), jnp.float32),
    "label": jnp.asarray(RNG.integers(0, 3, SIZE), jnp.int32),
    "weight": jnp.ones(SIZE),
}
EXAMPLES = jnp.asarray(RNG.permutation(100)[:SIZE], jnp.int32)
KEY = jax.random.key(3)


@jax.jit
def mix(batch, examples):
    keys = example_keys(KEY, examples)
    return parse_policy("mixup(0.4)").mix(keys, batch, num_classes=3)


def mixed(batch=BATCH, examples=EXAMPLES):
    return mix(batch, examples)


def test_images_and_labels_are_mixed_by_the_same_share_with_the_one_before():
    result = mixed()
    image, target = np.asarray(result["image"]), np.asarray(result["target"])
    np.testing.assert_allclose(target.sum(axis=1), np.ones(SIZE), rtol=1e-6)
    labels = np.eye(3)[np.asarray(BATCH["label"])]
    original = np.asarray(BATCH["image"])
    for number in range(SIZE):
        before = (number - 1) % SIZE
        span = original[number] - original[before]
        share = ((image[number] - original[before]) / span).mean()
        assert 0.5 <= share <= 1
        np.testing.assert_allclose(
            image[number], share * original[number] + (1 - share) * original[before], atol=1e-5
        )
        expected = share * labels[number] + (1 - share) * labels[before]
        np.testing.assert_allclose(target[number], expected, atol=1e-5)
    np.testing.assert_array_equal(result["label"], BATCH["label"])


def test_shares_follow_the_beta_distribution_folded_at_a_half():
    count = 4000
    batch = {
        "image": jnp.arange(count, dtype=jnp.float32).reshape(-1, 1, 1, 1) % 2,
        "label": jnp.arange(count) % 2,
        "weight": jnp.ones(count),
    }
    result = mixed(batch, jnp.arange(count))
    shares = np.asarray(result["target"])[np.arange(count), np.arange(count) % 2]
    folded = np.where(shares > 0.5, shares, 1 - shares)
    beta = scipy.stats.beta(0.4, 0.4)
    assert scipy.stats.kstest(folded, lambda x: 2 * beta.cdf(x) - 1).pvalue > 0.001


def test_a_batch_spread_over_devices_is_mixed_like_a_whole_one():
    spread = jax.tree.map(lambda a: a.reshape(4, 2, *a.shape[1:]), (BATCH, EXAMPLES))

    def on_device(batch, examples):
        keys = example_keys(KEY, examples)
        policy = parse_policy("mixup(0.4)")
        return policy.mix(keys, batch, num_classes=3, axis_name="data")

    parts = jax.jit(jax.vmap(on_device, axis_name="data"))(*spread)
    joined = jax.tree.map(lambda a: a.reshape(SIZE, *a.shape[2:]), parts)
    whole = mixed()
    assert joined.keys() == whole.keys()
    for name, value in whole.items():
        np.testing.assert_allclose(joined[name], value, atol=1e-6)


def test_an_example_of_weight_zero_is_mixed_into_no_other():
    result = mixed(BATCH | {"weight": jnp.ones(SIZE).at[2].set(0)})
    np.testing.assert_array_equal(result["image"][3], BATCH["image"][3])
    np.testing.assert_array_equal(result["target"][3], np.eye(3)[BATCH["label"][3]])
    assert not np.array_equal(result["image"][4], BATCH["image"][4])


def test_a_policy_without_mixup_leaves_the_batch():
    batch = parse_policy("flip").mix(example_keys(KEY, EXAMPLES), BATCH)
    assert batch.keys() == BATCH.keys()
    assert batch["image"] is BATCH["image"]


def test_several_images_are_mixed_by_one_share():
    result = mixed(BATCH | {"image": jnp.concatenate([BATCH["image"]] * 2, axis=-1)})
    keys = example_keys(KEY, EXAMPLES)
    batch = {"left": BATCH["image"], "right": BATCH["image"], "digit": BATCH["label"]}
    two = parse_policy("mixup(0.4)").mix(
        keys,
        batch | {"weight": BATCH["weight"]},
        {"left": "image", "right": "image", "digit": "label"},
        num_classes=3,
    )
    np.testing.assert_allclose(two["left"], result["image"][..., :1], atol=1e-6)
    np.testing.assert_array_equal(two["left"], two["right"])
    np.testing.assert_allclose(two["target"], result["target"], atol=1e-6)


@pytest.mark.parametrize(
    ("more", "num_classes", "message"),
    [
        ({"mask": jnp.zeros((SIZE, 2, 2))}, 3, r"mixup: it mixes .* cannot mix mask \(mask\)"),
        ({"boxes": jnp.zeros((SIZE, 2, 4))}, 3, r"cannot mix boxes \(boxes\)"),
        ({"points": jnp.zeros((SIZE, 2, 2))}, 3, r"cannot mix points \(points\)"),
        ({}, None, "num_classes is missing"),
    ],
)
def test_parts_that_cannot_be_mixed_are_refused(more, num_classes, message):
    with pytest.raises(ValueError, match=message):
        parse_policy("mixup").mix(
            example_keys(KEY, EXAMPLES), BATCH | more, num_classes=num_classes
        )


@pytest.mark.parametrize("missing", ["image", "label", "weight"])
def test_a_batch_without_what_is_mixed_is_refused(missing):
    batch = {name: part for name, part in BATCH.items() if name != missing}
    with pytest.raises(ValueError, match="mixup: a batch has images, one label, and weight"):
        parse_policy("mixup").mix(example_keys(KEY, EXAMPLES), batch, num_classes=3)
