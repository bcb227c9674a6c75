"""The choice of formulation is a pure function; where it is lax's own form, so is the program."""

import functools
import re
from typing import Any

import jax
import numpy as np
import pytest
from jax import lax

from cnnjax import ops
from cnnjax.ops.conv import dispatch
from cnnjax.ops.conv import spec as conv_spec
from tests.helpers.programs import program_text
from tests.ops.conv.conv_cases import CASES


def _choice(pass_, input_shape, kernel_shape, platform="cpu", **options):
    defaults: dict[str, Any] = dict(strides=1, padding="SAME", dilation=1, groups=1)
    spec = conv_spec.parse("test", input_shape, kernel_shape, **(defaults | options))
    return dispatch.choose(pass_, spec, input_shape, kernel_shape, platform)


def _plain(case, x, k):
    return lax.conv_general_dilated(
        x,
        k,
        case.strides,
        case.pads,
        rhs_dilation=case.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=case.groups,
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_outside_cpu_the_lowered_program_is_laxs(name, platform):
    case = CASES[name]
    x, k, g = case.arrays()
    conv = functools.partial(ops.conv2d, **case.options)
    plain = functools.partial(_plain, case)

    def backward(conv):
        return lambda x, k, g: jax.vjp(conv, x, k)[1](g)

    assert _program(conv, platform, x, k) == _program(plain, platform, x, k)
    assert _program(backward(conv), platform, x, k, g) == _program(
        backward(plain), platform, x, k, g
    )


def _program(function, platform, *arrays):
    """The operations of the lowered program, without names, constants and source positions.

    `lax.platform_dependent` leaves a `case` of one branch, which XLA takes away first of all.
    """
    text = jax.export.export(jax.jit(function), platforms=[platform])(*arrays).mlir_module()
    lines = []
    for line in text.splitlines():
        if re.search(r"stablehlo\.(?!case|return|constant)", line):
            line = re.sub(r"\s*loc\(.*$", "", re.sub(r"%[\w#:]+", "%", line))
            lines.append(line.strip())
    return sorted(lines)


@pytest.mark.parametrize("name", ["resnet_3x3", "dilated", "asymmetric"])
def test_on_cpu_lax_own_form_compiles_to_laxs_program(name):
    case = CASES[name]
    x, k, _ = case.arrays()
    ours = _instructions(functools.partial(ops.conv2d, **case.options), x, k)
    assert ours == _instructions(functools.partial(_plain, case), x, k)
    assert any("convolution" in line for line in ours)


def _instructions(function, *arrays):
    text = program_text(function, *arrays)
    lines = [line for line in text.split("ENTRY", 1)[1].splitlines() if "=" in line]
    lines = [re.sub(r"metadata=\{[^}]*\}|%[\w.\-]+", "", line).strip() for line in lines]
    return [line for line in lines if "[" in line]


@pytest.mark.parametrize(
    ("input_shape", "kernel_shape", "options", "choices"),
    [
        ((8, 56, 56, 144), (3, 3, 1, 144), dict(groups=144), ("shift_add",) * 3),
        ((4, 56, 56, 128), (3, 3, 4, 128), dict(groups=32), ("block_diagonal",) * 3),
        ((4, 56, 56, 256), (1, 1, 256, 64), {}, ("matmul",) * 3),
        ((4, 7, 7, 2048), (1, 1, 2048, 512), {}, ("matmul",) * 3),
        ((8, 2, 2, 512), (3, 3, 512, 512), {}, ("im2col",) * 3),
        ((8, 2, 9, 64), (3, 3, 64, 64), dict(strides=2), ("im2col",) * 3),
        ((8, 4, 4, 64), (3, 3, 64, 64), dict(dilation=2), ("im2col",) * 3),
        ((8, 3, 3, 512), (3, 3, 512, 512), {}, ("direct",) * 3),
        ((4, 56, 56, 256), (1, 1, 256, 512), dict(strides=2), ("matmul", "direct", "matmul")),
        ((128, 5, 5, 16), (5, 5, 16, 120), dict(padding="VALID"), ("matmul",) * 3),
        ((4, 56, 56, 64), (3, 3, 64, 64), {}, ("direct",) * 3),
        ((4, 56, 56, 64), (3, 3, 64, 128), dict(strides=2), ("direct",) * 3),
        (
            (128, 32, 32, 1),
            (5, 5, 1, 6),
            dict(padding="VALID"),
            ("columns", "shift_add", "columns"),
        ),
        ((128, 14, 14, 6), (5, 5, 6, 16), dict(padding="VALID"), ("columns",) * 3),
        ((128, 32, 32, 3), (3, 3, 3, 16), {}, ("columns", "columns", "direct")),
        ((128, 32, 32, 16), (3, 3, 16, 16), {}, ("direct", "direct", "columns")),
        ((128, 32, 32, 16), (3, 3, 16, 32), dict(strides=2), ("direct", "direct", "direct")),
        ((8, 28, 28, 16), (5, 5, 16, 32), {}, ("direct",) * 3),
        (
            (16, 227, 227, 3),
            (11, 11, 3, 96),
            dict(strides=4, padding="VALID"),
            ("direct", "space_to_depth", "direct"),
        ),
        (
            (4, 224, 224, 3),
            (7, 7, 3, 64),
            dict(strides=2, padding=3),
            ("direct", "space_to_depth", "space_to_depth"),
        ),
        (
            (8, 224, 224, 3),
            (3, 3, 3, 32),
            dict(strides=2, padding=1),
            ("space_to_depth", "direct", "direct"),
        ),
    ],
)
def test_choices_that_the_measurements_made(input_shape, kernel_shape, options, choices):
    found = tuple(_choice(each, input_shape, kernel_shape, **options) for each in dispatch.PASSES)
    assert found == choices


@pytest.mark.parametrize("platform", ["cuda", "rocm", "tpu"])
@pytest.mark.parametrize("pass_", dispatch.PASSES)
def test_every_other_platform_gets_laxs_form(pass_, platform):
    for case in CASES.values():
        choice = _choice(pass_, case.input_shape, case.kernel_shape, platform, **case.options)
        assert choice == "direct"


@pytest.mark.parametrize("pass_", dispatch.PASSES)
def test_every_choice_has_the_pass_and_takes_the_convolution(pass_):
    for case in CASES.values():
        name = _choice(pass_, case.input_shape, case.kernel_shape, **case.options)
        spec = conv_spec.parse("test", case.input_shape, case.kernel_shape, **case.options)
        assert hasattr(dispatch.ALGORITHMS[name], pass_)
        assert not dispatch.ALGORITHMS[name].refuses(spec, case.input_shape, case.kernel_shape)


def test_compiler_options_are_for_cpu_and_change_no_value():
    assert ops.compiler_options("gpu") == {}
    case = CASES["resnet_3x3"]
    x, k, _ = case.arrays()
    with_options = jax.jit(ops.conv2d, compiler_options=ops.compiler_options("cpu"))(x, k)
    np.testing.assert_allclose(with_options, jax.jit(ops.conv2d)(x, k), rtol=1e-4, atol=1e-4)
