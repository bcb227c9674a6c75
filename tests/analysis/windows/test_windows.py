"""Pictures of windows: every number in them is compared with NumPy."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from cnnjax.analysis import (
    draw_convolution,
    draw_padding,
    draw_pooling,
    draw_receptive_field,
    draw_strides,
    draw_unpooling,
)

SVG = "{http://www.w3.org/2000/svg}"
X = np.array([[1, 2, 0, 1, 3], [0, 1, 3, 2, 1], [2, 0, 1, -1, 0], [1, 3, 2, 0, 2]], float)
KERNEL = np.array([[1, 0, -1], [2, 0.5, -2]])


def grids(text):
    """Name and numbers of each grid, row by row; None for an empty cell."""
    found = []
    for group in ElementTree.fromstring(text).iter(f"{SVG}g"):
        numbers = [each.text for each in group.iter(f"{SVG}text")]
        found.append((group.attrib["data-name"], [n and float(n) for n in numbers]))
    return found


def styles(text):
    """The styles of each grid's cells, by row and column."""
    found = []
    for group in ElementTree.fromstring(text).iter(f"{SVG}g"):
        cells = [each.attrib for each in group.iter(f"{SVG}rect")]
        rows = sorted({float(cell["y"]) for cell in cells})
        columns = sorted({float(cell["x"]) for cell in cells})
        found.append(
            {(rows.index(float(c["y"])), columns.index(float(c["x"]))): c["class"] for c in cells}
        )
    return found


def lines(text):
    return ["".join(each.itertext()) for each in ElementTree.fromstring(text).iter(f"{SVG}text")]


def correlate(padded, kernel, stride, dilation=1):
    """The defining sum."""
    rows, columns = (
        (size - (taps - 1) * dilation - 1) // stride + 1
        for size, taps in zip(padded.shape, kernel.shape, strict=True)
    )
    return np.array(
        [
            [
                sum(
                    padded[r * stride + a * dilation, c * stride + b * dilation] * kernel[a, b]
                    for a, b in np.ndindex(kernel.shape)
                )
                for c in range(columns)
            ]
            for r in range(rows)
        ]
    )


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "mode", "numpy_mode"),
    [
        (1, 0, 1, "zeros", "constant"),
        (2, 1, 1, "reflect", "reflect"),
        (1, 2, 2, "circular", "wrap"),
        (3, 1, 1, "replicate", "edge"),
    ],
)
def test_the_numbers_of_a_convolution(stride, padding, dilation, mode, numpy_mode):
    text = draw_convolution(
        X,
        KERNEL,
        strides=stride,
        padding=padding,
        dilation=dilation,
        padding_mode=mode,
        windows=100,
    )
    padded = np.pad(X, padding, mode=numpy_mode)
    expected = correlate(padded, KERNEL, stride, dilation)
    (name, taps), *rest = grids(text)
    assert (name, taps) == ("kernel", list(KERNEL.ravel()))
    windows, outputs = rest[::2], rest[1::2]
    marked = styles(text)[1:]
    assert len(windows) == len(outputs) == expected.size
    for number, ((name, shown), (_, output)) in enumerate(zip(windows, outputs, strict=True)):
        assert name == f"window {number + 1} of {expected.size}"
        assert shown == list(padded.ravel())
        np.testing.assert_allclose(output[: number + 1], expected.ravel()[: number + 1])
        assert output[number + 1 :] == [None] * (expected.size - number - 1)
        row, column = divmod(number, expected.shape[1])
        window = {
            (row * stride + a * dilation, column * stride + b * dilation)
            for a, b in np.ndindex(KERNEL.shape)
        }
        assert {p for p, s in marked[2 * number].items() if s == "window"} == window
        assert [p for p, s in marked[2 * number + 1].items() if s == "mark"] == [(row, column)]
    # The products, written out, have the sum that they are said to have.
    sums = [line for line in " ".join(lines(text)).split("window")[1:]]
    for part, value in zip(sums, expected.ravel(), strict=True):
        (total,) = re.findall(r"((?:- ?)?[\d.]+·.*) = (-?[\d.]+)", part)
        assert eval(total[0].replace("·", "*")) == pytest.approx(value)
        assert float(total[1]) == pytest.approx(value)


def test_of_many_windows_the_first_ones_and_the_last_are_drawn():
    names = [name for name, _ in grids(draw_convolution(X, KERNEL))]
    assert names[1::2] == [f"window {i} of 9" for i in (1, 2, 3, 9)]


def test_padding_modes_are_numpys():
    text = draw_padding(X, 2, ("zeros", "replicate", "reflect", "circular", 7))
    modes = ("constant", "edge", "reflect", "wrap")
    expected = [np.pad(X, 2, mode=mode) for mode in modes]
    expected.append(np.pad(X, 2, constant_values=7))
    for (_, shown), numbers, marked in zip(grids(text), expected, styles(text), strict=True):
        assert shown == list(numbers.ravel())
        inner = {place for place, style in marked.items() if style == "plain"}
        assert inner == {(r + 2, c + 2) for r, c in np.ndindex(X.shape)}


def test_windows_of_a_row_by_stride():
    row, taps = [1, 3, 2, 5, 4, 0, 1], [1, 0, -2]
    text = draw_strides(row, taps, (1, 2, 3), padding=1)
    padded = np.pad(np.array([row], float), ((0, 0), (1, 1)))
    for index, stride in enumerate((1, 2, 3)):
        output = correlate(padded, np.array([taps], float), stride)[0]
        (_, windows), (_, shown) = grids(text)[1 + 2 * index : 3 + 2 * index]
        assert shown == list(output)
        assert windows == list(padded[0]) * len(output)
        marked = styles(text)[1 + 2 * index]
        assert {place for place, style in marked.items() if style == "window"} == {
            (i, i * stride + tap) for i in range(len(output)) for tap in range(3)
        }
    formulas = [line for line in lines(text) if line.startswith("stride")]
    assert formulas[0] == "stride 1: (7 - 3 + 2) / 1 + 1 = 7"
    assert " ".join(lines(draw_strides(row, taps, (3,)))).count("= 2.33, rounded down to 2") == 1


@pytest.mark.parametrize(("kind", "reduce"), [("max", np.max), ("avg", np.mean), ("sum", np.sum)])
def test_the_numbers_of_a_pool(kind, reduce):
    text = draw_pooling(X, (2, 3), strides=(2, 1), kind=kind, windows=100)
    expected = np.array(
        [[reduce(X[r : r + 2, c : c + 3]) for c in range(3)] for r in range(0, 3, 2)]
    )
    shown = grids(text)
    assert len(shown) == 2 * expected.size
    np.testing.assert_allclose(shown[-1][1], expected.ravel(), rtol=5e-3)
    for number in range(expected.size):
        assert shown[2 * number][1] == list(X.ravel())
        row, column = divmod(number, 3)
        marked = styles(text)[2 * number]
        cells = {place for place, style in marked.items() if style != "plain"}
        assert cells == {(2 * row + a, column + b) for a in range(2) for b in range(3)}
        best = [place for place, style in marked.items() if style == "mark"]
        assert [X[place] for place in best] == ([expected[row, column]] if kind == "max" else [])


def test_unpooling_puts_the_maxima_back():
    x = np.array([[1, 2, 0, 1], [0, 1, 3, 2], [2, 0, 1, 5], [1, 4, 2, 0]], float)
    shown = dict(grids(draw_unpooling(x)))
    blocks = x.reshape(2, 2, 2, 2).swapaxes(1, 2).reshape(2, 2, 4)
    assert shown["maxima"] == list(blocks.max(-1).ravel())
    kept = np.where(x == blocks.max(-1).repeat(2, 0).repeat(2, 1), x, 0)
    assert shown["unpooled"] == list(kept.ravel())
    assert shown["upsample_nearest"] == list(blocks.max(-1).repeat(2, 0).repeat(2, 1).ravel())
    places = [int(p) for p in shown["places: row × width + column"]]
    assert [x.ravel()[p] for p in places] == shown["maxima"]
    # Between the centers of pixels a quarter and three quarters of the way.
    weights = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    bilinear = weights @ blocks.max(-1) @ weights.T
    np.testing.assert_allclose(shown["upsample_bilinear"], bilinear.ravel(), rtol=5e-3)


@pytest.mark.parametrize(
    ("kernels", "strides", "dilations"),
    [
        ((3, 3, 3), None, None),
        ((7,), None, None),
        ((5, 2, 5, 2), (1, 2, 1, 2), None),
        ((3, 3, 3), None, (1, 2, 4)),
        ((1, 3), (2, 1), None),
    ],
)
def test_fields_grow_by_the_closed_form(kernels, strides, dilations):
    text = draw_receptive_field(kernels, strides=strides, dilations=dilations)
    steps, spreads = strides or [1] * len(kernels), dilations or [1] * len(kernels)
    size, jump, expected = 1, 1, []
    for kernel, stride, dilation in zip(kernels, steps, spreads, strict=True):
        size += (kernel - 1) * dilation * jump
        jump *= stride
        expected.append(size)
    shown = [int(line.split()[-2]) for line in lines(text) if line.startswith("layer ")]
    assert shown[::-1] == expected
    assert f"input: {expected[-1]} pixels" in lines(text)
    # With stride 2 and one tap, the unit does not depend on every other pixel.
    pixels = [c.attrib["class"] for c in ElementTree.fromstring(text).iter(f"{SVG}circle")]
    assert pixels.count("done") == (3 if kernels == (1, 3) else expected[-1])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_load_nothing_and_have_two_themes(scheme):
    text = draw_padding([[1, 2], [3, 4]], 1)
    assert "prefers-color-scheme:dark" in text
    assert "href" not in text
    assert 'role="img"' in text
    assert ElementTree.fromstring(text)[0].text == "Padding modes"


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: draw_convolution(np.ones((1, 4, 4, 1)), KERNEL), r"x of shape \(1, 4, 4, 1\)"),
        (lambda: draw_convolution(np.ones((13, 4)), KERNEL), "at most 12 rows"),
        (lambda: draw_convolution([[1, np.nan]], [[1]]), "x must be finite numbers"),
        (lambda: draw_convolution(X, KERNEL, windows=0), "windows 0 must be a positive integer"),
        (lambda: draw_convolution(X, np.ones((9, 9))), "conv2d"),
        (lambda: draw_convolution(X, KERNEL, padding_mode="mirror"), "mirror"),
        (lambda: draw_padding(X, 2, ()), "modes is empty"),
        (lambda: draw_padding(X, 9, ("reflect",)), "pad"),
        (lambda: draw_strides([1, 2, 3], [1, 2], ()), "strides is empty"),
        (lambda: draw_strides([[1, 2]], [1, 2]), "x of shape"),  # pyright: ignore[reportArgumentType]
        (
            lambda: draw_pooling(X, 2, kind="median"),  # pyright: ignore[reportArgumentType]
            "kind 'median' is not known",
        ),
        (lambda: draw_pooling(X, 2, windows=True), "windows True"),
        (lambda: draw_pooling(X, 9), "window"),
        (lambda: draw_unpooling(X, 0), "window"),
        (lambda: draw_receptive_field(()), "there must be a layer"),
        (lambda: draw_receptive_field((3, 3), strides=(1,)), "one value for each layer"),
        (lambda: draw_receptive_field((3, 0)), "must be positive integers"),
        (lambda: draw_receptive_field((30, 30)), "sees 59 pixels, more than the 40"),
    ],
)
def test_what_a_user_may_get_wrong(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
