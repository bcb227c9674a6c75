"""Augmentations that users bring."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import data
from tests.data.augment.images import augment_image

IMAGE = jnp.asarray(np.random.default_rng(0).uniform(size=(4, 5, 3)), jnp.float32)
KEY = jax.random.key(0)


@data.register_augmentation("inverted")
def inverted(strength: float = 1.0):
    if strength > 1:
        raise ValueError(f"strength is {strength}; give 0 to 1")

    def apply(key, example):
        image = example["image"]
        return {**example, "image": image + strength * (1 - 2 * image)}

    return apply


@data.register_augmentation("nothing")  # pyright: ignore[reportArgumentType]
def nothing():
    """A maker that forgot to return."""


def dim(key, example):
    return {**example, "image": example["image"] * jax.random.uniform(key)}


class Dim:
    """A function as an object."""

    def __call__(self, key, example):
        return dim(key, example)


def test_a_registered_function_joins_the_language():
    result = augment_image("inverted(0.75), flip(1)", KEY, IMAGE)
    np.testing.assert_allclose(result, 0.75 - 0.5 * IMAGE[:, ::-1] + 0.0, atol=1e-6)
    np.testing.assert_allclose(augment_image("inverted", KEY, IMAGE), 1 - IMAGE, atol=1e-6)


@pytest.mark.parametrize("bracket", ["(strength=0.5)", ""])
def test_a_function_is_found_by_its_path(tmp_path, monkeypatch, bracket):
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "__init__.py").write_text("")
    (tmp_path / "own_package" / "changes.py").write_text(
        "def darken(strength=0.25, names={'a': 1}):\n"
        "    return lambda key, example: {**example, 'image': example['image'] * strength}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    policy = data.parse_policy(f"flip(1), own_package.changes:darken{bracket}, flip(1)")
    strength = 0.5 if bracket else 0.25
    np.testing.assert_allclose(augment_image(policy, KEY, IMAGE), strength * IMAGE, atol=1e-6)
    assert str(policy.steps[1]) == "own_package.changes:darken" + (bracket or "()"), (
        "as it is called"
    )
    with pytest.raises(ValueError, match=r"'own_package.changes:darken\(1, 2, 3\)' cannot be made"):
        data.parse_policy("own_package.changes:darken(1, 2, 3)")
    with pytest.raises(ValueError, match=r"'own_package.changes:drken'.* has no"):
        data.parse_policy("own_package.changes:drken")
    # Colons elsewhere are left alone.
    named = data.parse_policy("own_package.changes:darken(0.5, names={'a:b': 1})")
    assert str(named) == "own_package.changes:darken(0.5, names={'a:b': 1})"


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("inverte", "unknown augmentation 'inverte'; did you mean inverted"),
        ("inverted(2.0)", r"cannot be made: strength is 2.0; .*its form is inverted\(strength: fl"),
        ("inverted(1, 2)", "cannot be made: too many positional arguments"),
        ("nothing", "'nothing.*' made None; nothing has to return an augmentation"),
        ("no_such_package.aug:invert(0.5)", "no_such_package.aug"),
        ("tests.data.augment.test_own:IMAGE", "'tests.data.augment.test_own:IMAGE' is a "),
        ("tests.data.augment.test_own.inverted(1)", "is not a call; .* by its path: my_package"),
    ],
)
def test_a_wrong_call_of_a_users_augmentation_is_refused(policy, message):
    with pytest.raises(ValueError, match=message):
        data.parse_policy(policy)


@pytest.mark.parametrize("name", ["flip", "mixup"])
def test_a_taken_name_is_refused(name):
    with pytest.raises(ValueError, match=f"the name '{name}' is taken"):
        data.register_augmentation(name)(lambda: dim)


@pytest.mark.parametrize("name", ["in-vert", "a:b", "", 3])
def test_a_name_that_cannot_be_called_is_refused(name):
    with pytest.raises(ValueError, match="cannot be called in a policy"):
        data.register_augmentation(name)(lambda: dim)


def test_policies_are_made_of_texts_functions_and_policies():
    made = data.as_policy(["crop(1), flip", dim, data.augment.Cutout(2), data.Mixup(0.4)])
    assert str(made) == (
        "crop(padding=1), flip(), tests.data.augment.test_own:dim, cutout(size=2), mixup(alpha=0.4)"
    )
    assert made.mixing == data.Mixup(0.4)
    # Keys are numbered as in one text.
    parts = data.Policy.of(data.as_policy("crop(1)"), "flip, cutout(2)")
    assert parts == data.parse_policy("crop(1), flip, cutout(2)")
    for key in jax.random.split(KEY, 3):
        np.testing.assert_array_equal(
            augment_image(parts, key, IMAGE), augment_image("crop(1), flip, cutout(2)", key, IMAGE)
        )
    assert data.as_policy(made) is made
    assert data.as_policy([]) == data.as_policy("") == data.Policy()
    expected = IMAGE * jax.random.uniform(jax.random.fold_in(KEY, 0))
    for one in (dim, Dim()):
        np.testing.assert_allclose(augment_image(one, KEY, IMAGE), expected, rtol=1e-6)


def test_a_policys_text_makes_it_again():
    text = (
        "crop(4, fill=[0.1, 0.2, 0.3], mask_fill=0), affine(10, (0.9, 1.1)), resized_crop(8), "
        "color_jitter(0.4, hue=0.1, parts='image'), pca_color(0.2), mixup(0.4)"
    )
    policy = data.parse_policy(text)
    assert data.parse_policy(str(policy)) == policy
    hash(policy)


@pytest.mark.parametrize("given", [3, None, data.Mixup, ["flip", 3], {"a": "flip"}])
def test_anything_but_an_augmentation_is_refused(given):
    with pytest.raises(ValueError, match="was given; give a text such as"):
        data.as_policy(given)


def test_a_mix_comes_last():
    with pytest.raises(ValueError, match="mixup takes whole batches, and comes once and last"):
        data.as_policy([data.Mixup(), dim])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda key, example: example["image"], r"returned float32\[4, 5, 3\]; it has to return"),
        (lambda key, example: None, "returned a NoneType"),
        (lambda key, example: {"image": example["image"]}, "returned the parts image; it has to k"),
        (lambda key, example: {**example, "imag": 1.0}, "returned the parts imag, image, label"),
        (
            lambda key, example: {**example, "image": example["image"].astype(jnp.bfloat16)},
            r"made image bfloat16\[4, 5, 3\] of float32\[4, 5, 3\]; it has to keep",
        ),
        (lambda key, example: {**example, "image": example["image"][..., 0]}, r"\[4, 5\] of float"),
        (lambda key, example: {**example, "label": example["label"][None]}, r"label int32\[1\] of"),
    ],
)
def test_a_result_of_another_form_is_refused(function, message):
    example = {"image": IMAGE, "label": jnp.int32(1)}
    with pytest.raises(ValueError, match=message):
        data.as_policy(function)(KEY, example)
    with pytest.raises(ValueError, match=r"tests\.data\.augment\.test_own:<lambda>"):
        data.as_policy(function)(KEY, example)


def test_a_function_may_change_the_size_of_images():
    def halve(key, example):
        return {**example, "image": example["image"][::2, ::2]}

    batch = {"image": jnp.stack([IMAGE] * 3), "label": jnp.arange(3)}
    keys = data.example_keys(KEY, jnp.arange(3))
    result = data.augment_batch([halve, "flip(1)"], keys, batch)
    np.testing.assert_array_equal(result["image"], batch["image"][:, ::2, ::2][:, :, ::-1])
    np.testing.assert_array_equal(result["label"], batch["label"])


def test_keys_of_examples_are_folded_from_their_positions():
    keys = data.example_keys(KEY, [7, 2])
    expected = [jax.random.key_data(jax.random.fold_in(KEY, position)) for position in (7, 2)]
    np.testing.assert_array_equal(jax.random.key_data(keys), expected)
