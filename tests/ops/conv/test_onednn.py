"""Programs without gradients, whose convolutions are calls of oneDNN where XLA has them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.ops.conv import dispatch, onednn
from cnnjax.ops.conv import spec as conv_spec
from tests.helpers import reference
from tests.helpers.programs import program_text
from tests.ops.conv.conv_cases import CASES, assert_sum_close

needs_onednn = pytest.mark.skipif(
    not onednn.is_there(), reason="this jaxlib hands no convolution to oneDNN"
)


@pytest.mark.parametrize("name", CASES)
def test_forward_programs_compute_the_defining_sum(name):
    case = CASES[name]
    x, k, _ = case.arrays()
    y = ops.jit_forward(lambda x, k: ops.conv2d(x, k, **case.options))(x, k)
    x64, k64 = (np.asarray(array, np.float64) for array in (x, k))
    assert_sum_close(y, reference.conv2d(x64, k64, **case.reference), np.prod(k.shape[:3]))


@needs_onednn
@pytest.mark.parametrize("name", ["resnet_3x3", "resnext_groups", "depthwise_stride_2", "dilated"])
def test_their_convolutions_bias_and_rectifier_are_one_call(name):
    case = CASES[name]
    x, k, g = case.arrays()
    bias = jnp.linspace(-1, 1, g.shape[3])

    def unit(x, k, bias):
        with onednn._current(True):
            return ops.relu(ops.add_bias(ops.conv2d(x, k, **case.options), bias))

    expected = jax.nn.relu(ops.add_bias(ops.conv2d(x, k, **case.options), bias))
    np.testing.assert_allclose(ops.jit_forward(unit)(x, k, bias), expected, rtol=1e-5, atol=1e-5)
    with onednn._stored_nowhere():
        program = program_text(jax.jit(unit, compiler_options={onednn.OPTION: True}), x, k, bias)
    assert program.count('custom_call_target="__onednn$convolution"') == 1
    assert " maximum(" not in program


def _choice(pass_, name, **options):
    case = CASES[name]
    with onednn._current(True):
        spec = conv_spec.parse("test", case.input_shape, case.kernel_shape, **case.options)
    return dispatch.choose(pass_, spec, case.input_shape, case.kernel_shape, **options)


def test_forward_passes_are_lax_s_form_but_for_products():
    for name, case in CASES.items():
        # Products: over pixels, and of a kernel that covers the whole image.
        product = case.kernel_shape[:2] == (1, 1) or name == "kernel_as_large_as_input"
        # XLA's rewriter leaves kernels alone that are larger than the image.
        larger = name in ("kernel_larger_than_input", "one_pixel")
        expected = "im2col" if larger else "matmul" if product else "direct"
        assert _choice("forward", name) == expected, name
    assert _choice("forward", "depthwise", platform="cuda") == "direct"


def test_gradients_are_lax_s_form_where_the_rewriter_takes_it():
    assert _choice("input_grad", "depthwise") == "direct"
    assert _choice("input_grad", "depthwise_stride_2") == "shift_add"
    assert _choice("kernel_grad", "resnext_groups") == "block_diagonal"


def test_float64_and_negative_padding_keep_the_other_forms():
    assert not onednn.serves(jnp.float64)
    spec = conv_spec.ConvSpec((1, 1), ((-1, 0), (0, 0)), (1, 1), 4, onednn=True)
    assert dispatch.choose("forward", spec, (1, 8, 8, 4), (3, 3, 1, 4)) == "shift_add"
    with jax.enable_x64(True), onednn._current(True):
        x, k = jnp.ones((1, 8, 8, 4), jnp.float64), jnp.ones((3, 3, 1, 4), jnp.float64)
        program = str(jax.make_jaxpr(lambda x, k: ops.conv2d(x, k, groups=4))(x, k))
    assert "feature_group_count=4" in program  # the branch of other platforms
    assert "platform_index" in program


def test_a_function_traced_inside_is_traced_again_outside():
    seen = []

    @jax.jit
    def inner(x):
        seen.append(onednn.in_use())
        return 2 * x

    @jax.jit
    def outer(x):
        with onednn._current(True):
            return inner(x)

    x = jnp.ones(3)
    for function in (outer, inner, outer):
        function(x)
    assert seen == [True, False]


def test_within_another_transformation_it_is_a_plain_jit():
    seen = []

    @ops.jit_forward
    def square(x):
        seen.append(onednn.in_use())
        return x * x

    assert jax.grad(square)(3.0) == 6.0
    np.testing.assert_array_equal(jax.vmap(square)(jnp.arange(3.0)), [0, 1, 4])
    assert not any(seen)
    assert square(jnp.float32(2.0)) == 4.0


def test_gradients_inside_a_forward_program_are_right():
    case = CASES["resnext_groups"]
    x, k, g = case.arrays()

    def pull(x, k, g):
        return jax.vjp(lambda x, k: ops.conv2d(x, k, **case.options), x, k)[1](g)

    for ours, expected in zip(ops.jit_forward(pull)(x, k, g), jax.jit(pull)(x, k, g), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


def test_a_value_of_the_user_s_own_in_xla_flags_holds(monkeypatch):
    onednn.is_there.cache_clear()
    monkeypatch.setenv("XLA_FLAGS", f"--{onednn.OPTION}=false")
    try:
        assert not onednn.is_there()
    finally:
        onednn.is_there.cache_clear()


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match=r"jit_forward: function must be .* got 3; give the"):
        ops.jit_forward(3)  # pyright: ignore[reportArgumentType]
