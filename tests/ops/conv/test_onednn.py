"""Programs whose convolutions are calls of oneDNN where XLA has them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.ops.conv import dispatch, onednn
from cnnjax.ops.conv import spec as conv_spec
from cnnjax.ops.conv.algorithms import merged
from tests.helpers import reference
from tests.helpers.programs import program_text
from tests.ops.conv.conv_cases import CASES, Case, assert_sum_close

needs_onednn = pytest.mark.skipif(
    not onednn.is_there(), reason="this jaxlib hands no convolution to oneDNN"
)

HALVES = ("resnet_3x3", "resnet_3x3_stride_2", "resnext_groups", "depthwise", "resnet_conv1")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, jnp.float32) for name in CASES]
    + [(name, dtype) for name in HALVES for dtype in (jnp.bfloat16, jnp.float16)],
)
def test_all_three_passes_compute_the_defining_sums(name, dtype):
    case = CASES[name]
    x, k, g = case.arrays(dtype)

    def passes(x, k, g):
        y, pull = jax.vjp(lambda x, k: ops.conv2d(x, k, **case.options), x, k)
        return y, *pull(g)

    y, dx, dk = ops.jit(passes)(x, k, g)
    x64, k64, g64 = (np.asarray(array, np.float64) for array in (x, k, g))
    height, width, channels, filters = k.shape
    window = height * width
    assert_sum_close(y, reference.conv2d(x64, k64, **case.reference), window * channels)
    expected = reference.conv2d_input_grad(g64, k64, x.shape, **case.reference)
    assert_sum_close(dx, expected, max(window * filters // case.groups, 4))
    expected = reference.conv2d_kernel_grad(x64, g64, k.shape, **case.reference)
    assert_sum_close(dk, expected, max(len(x) * g.shape[1] * g.shape[2], 4))


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
    np.testing.assert_allclose(ops.jit(unit)(x, k, bias), expected, rtol=1e-5, atol=1e-5)
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


def test_gradients_take_forms_that_the_rewriter_takes():
    assert _choice("input_grad", "depthwise") == "direct"
    assert _choice("input_grad", "depthwise_stride_2") == "shift_add"
    assert _choice("input_grad", "resnext_groups_stride_2") == "phases"
    assert _choice("input_grad", "resnet_3x3_stride_2") == "phases"
    # Few channels of the images, which are the filters here.
    assert _choice("input_grad", "lenet5_conv1") == "shift_add"
    assert _choice("input_grad", "resnet_conv1") == "phases"
    spec = conv_spec.ConvSpec((2, 2), ((3, 3), (3, 3)), (1, 1), 1, onednn=True)
    assert dispatch.choose("input_grad", spec, (4, 224, 224, 3), (7, 7, 3, 64)) == "space_to_depth"
    assert _choice("kernel_grad", "resnet_3x3") == "merged"
    assert _choice("kernel_grad", "resnext_groups") == "merged"
    assert _choice("kernel_grad", "alexnet_conv2_two_towers") == "merged"
    assert _choice("kernel_grad", "depthwise") == "shift_add"
    assert _choice("kernel_grad", "bottleneck_1x1") == "matmul"
    # Too few columns, and more columns between dilated taps than taps.
    assert _choice("kernel_grad", "lenet5_conv1") == "columns"
    assert _choice("kernel_grad", "dilated") == "direct"


def _pull(convolve, x, k):
    return jax.vjp(convolve, x, k)[1](jnp.ones_like(convolve(x, k)))


@needs_onednn
def test_all_three_passes_are_calls():
    x, k, _ = CASES["resnet_3x3"].arrays()
    ours = onednn.compiled(functools.partial(_pull, ops.conv2d), x, k)
    text = ours.as_text() or ""
    # dL/dx and dL/dk; what runs forward alone is not used.
    assert text.count('custom_call_target="__onednn$convolution"') == 2


@needs_onednn
@pytest.mark.parametrize("name", ["resnet_3x3", "resnext_groups", "depthwise"])
def test_gradients_inside_a_loop_are_calls_too(name):
    """As many as outside: XLA computes what it keeps in a loop by naive code, 60 times as slow."""
    case = CASES[name]
    x, k, _ = case.arrays()

    def repeated(x, k):
        layer = functools.partial(ops.conv2d, **case.options)
        return jax.lax.scan(lambda x, _: (jnp.tanh(layer(x, k)), None), x, length=3)[0]

    text = onednn.compiled(functools.partial(_pull, repeated), x, k).as_text() or ""
    # Forward, dL/dx and, but for depthwise layers, dL/dk.
    calls = 2 if name == "depthwise" else 3
    assert text.count('custom_call_target="__onednn$convolution"') == calls
    assert " convolution(" not in text


@needs_onednn
def test_a_kernel_gradient_of_few_columns_is_left_to_xla():
    x, k, _ = Case((2, 16, 16, 3), (3, 3, 3, 8), padding=1).arrays()
    gradient = jax.grad(lambda k, x: (ops.conv2d(x, k) ** 2).sum())
    text = onednn.compiled(gradient, k, x).as_text() or ""
    assert text.count('custom_call_target="__onednn$convolution"') == 1  # the forward pass
    assert text.count(" convolution(") == 1


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_jax_s_own_kernel_gradients_are_compiled_without_calls(layout):
    x, k, _ = CASES["resnet_3x3"].arrays()
    if layout == "NCHW":
        x = x.transpose(0, 3, 1, 2)

    def convolve(x, k):
        numbers = (layout, "HWIO", layout)
        return jax.lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=numbers)

    # Hidden in a loop, as a network's scanned layers are.
    def scanned(x, k):
        return jax.lax.scan(lambda x, _: (convolve(x, k), None), x, length=2)[0]

    program = onednn.compiled(functools.partial(_pull, scanned), x, k)
    assert "__onednn" not in (program.as_text() or "")
    one = onednn.compiled(lambda x, k: convolve(x, k), x, k)
    assert ("__onednn" in (one.as_text() or "")) == onednn.is_there()


def test_what_runs_seldom_is_compiled_without_calls():
    x, k, _ = CASES["resnet_3x3"].arrays()
    program = onednn.compiled(lambda x, k: ops.conv2d(x, k), x, k, often=False)
    assert "__onednn" not in (program.as_text() or "")


def test_large_batches_of_grouped_layers_are_cut_into_parts():
    case = Case((37, 5, 6, 8), (3, 3, 2, 12), padding=1, groups=4)
    x, k, g = case.arrays()
    spec = conv_spec.parse("test", case.input_shape, case.kernel_shape, **case.options)
    dk = functools.partial(merged.kernel_grad, spec, (3, 3))
    x64, g64 = (np.asarray(array, np.float64) for array in (x, g))
    expected = reference.conv2d_kernel_grad(x64, g64, k.shape, **case.reference)
    assert_sum_close(jax.jit(dk)(x, g), expected, 37 * 5 * 6)
    assert str(jax.make_jaxpr(dk)(x, g)).count("conv_general_dilated[") == 3
    # Half types are summed in one piece, and rounded once.
    halves = [array.astype(jnp.bfloat16) for array in (x, g)]
    assert str(jax.make_jaxpr(dk)(*halves)).count("conv_general_dilated[") == 1


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

    @ops.jit
    def square(x):
        seen.append(onednn.in_use())
        return x * x

    assert jax.grad(square)(3.0) == 6.0
    np.testing.assert_array_equal(jax.vmap(square)(jnp.arange(3.0)), [0, 1, 4])
    assert not any(seen)
    assert square(jnp.float32(2.0)) == 4.0


def test_a_value_of_the_user_s_own_in_xla_flags_holds(monkeypatch):
    onednn.is_there.cache_clear()
    monkeypatch.setenv("XLA_FLAGS", f"--{onednn.OPTION}=false")
    try:
        assert not onednn.is_there()
    finally:
        onednn.is_there.cache_clear()


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match=r"jit: function must be .* got 3; give the"):
        ops.jit(3)  # pyright: ignore[reportArgumentType]
