"""Errors for images of a wrong layout or dtype name the cause."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models

NETS = [
    ("resnet20_cifar", {"blocks": (1,), "widths": (4,)}, (32, 32, 3)),
    ("lenet5", {}, (32, 32, 1)),
    ("lenet5_1998", {}, (32, 32, 1)),
]


@pytest.fixture(scope="module", params=NETS, ids=[name for name, *_ in NETS])
def net(request):
    name, fields, shape = request.param
    model = models.create_model(name, num_classes=10, **fields)
    images = jax.random.uniform(jax.random.key(0), (2, *shape))
    return model, model.init(jax.random.key(1), images), images


@pytest.mark.parametrize("mapped", [False, True], ids=["plain", "jit"])
def test_images_with_the_channels_first_have_their_own_error(net, mapped):
    model, variables, images = net
    apply = jax.jit(model.apply) if mapped else model.apply
    first = images.transpose(0, 3, 1, 2)
    message = (
        rf"{type(model).__name__}: images of shape \(2, {first.shape[1]}, 32, 32\) look like "
        r"\(batch, channels.*transpose them with images.transpose\(0, 2, 3, 1\)"
    )
    with pytest.raises(ValueError, match=message):
        apply(variables, first)
    with pytest.raises(ValueError, match=message):
        model.init(jax.random.key(1), first)
    np.testing.assert_array_equal(
        apply(variables, first.transpose(0, 2, 3, 1)), apply(variables, images)
    )


def test_other_numbers_of_channels_keep_their_own_error(net):
    model, variables, _ = net
    with pytest.raises(Exception, match="shape") as caught:
        model.apply(variables, jnp.zeros((2, 2, 32, 40)))
    assert "transpose" not in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "remedy"), [(np.uint8, r"images.astype\(jnp.float32\) / 255"), (np.int32, "scaled")]
)
def test_whole_numbers_are_refused_with_the_conversion(net, dtype, remedy):
    model, variables, images = net
    whole = np.asarray(images * 255).astype(dtype)
    message = rf"images have the dtype {np.dtype(dtype)}, but pixels must be floating.*{remedy}"
    with pytest.raises(TypeError, match=message):
        model.apply(variables, whole)
    with pytest.raises(TypeError, match=message):
        model.init(jax.random.key(0), whole)
    with pytest.raises(TypeError, match=message):
        jax.eval_shape(model.apply, variables, whole)
