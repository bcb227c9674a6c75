"""Diagrams of networks: what is drawn, that it can be read, and that the SVG is whole."""

import itertools
import re
import sys
from xml.etree import ElementTree

import flax.linen as linen
import jax
import jax.numpy as jnp
import pytest

from cnnjax import models
from cnnjax.analysis import diagram, network_graph
from cnnjax.analysis.diagrams.blocks import Box, blocks, box_count
from cnnjax.analysis.diagrams.diagram import MOST_BOXES, drawn
from cnnjax.analysis.diagrams.diagram_command import main
from cnnjax.analysis.diagrams.places import place
from cnnjax.analysis.diagrams.repeats import fold_repeats
from cnnjax.analysis.diagrams.sizes import LINE
from cnnjax.extras import MissingPackage
from tests.analysis.graph.test_network_graph import Function, Loop
from tests.analysis.nets import PlainNet

SVG = "{http://www.w3.org/2000/svg}"


class Wide(linen.Module):
    """Branches of different depth that meet twice, and a shortcut over both joins."""

    @linen.compact
    def __call__(self, x):
        first = linen.Conv(8, (1, 1), name="a_name_that_is_much_longer_than_any_box")(x)
        second = linen.Conv(8, (3, 3))(linen.relu(linen.Conv(4, (1, 1))(x)))
        joined = jnp.concatenate([first, second, linen.max_pool(x, (3, 3), (1, 1), "SAME")], -1)
        third = jax.nn.gelu(linen.Conv(19, (5, 5), feature_group_count=1)(joined))
        return linen.Dense(3)((third + joined).mean((1, 2))) + linen.Dense(3)(x.mean((1, 2)))


NETWORKS = {
    "resnet20_cifar": lambda: (models.create_model("resnet20_cifar"), (32, 32, 3)),
    "fractalnet": lambda: (
        models.create_model("fractalnet20", columns=3, widths=(8, 8), dropout_rates=(0.0, 0.0)),
        (32, 32, 3),
    ),
    "plain": lambda: (PlainNet(), (8, 8, 3)),
    "loop": lambda: (Loop(), (8, 8, 3)),
    "wide": lambda: (Wide(), (16, 16, 3)),
}


@pytest.fixture(scope="module")
def graphs():
    known = {}

    def graph(name):
        if name not in known:
            with jax.numpy_dtype_promotion("standard"):
                known[name] = network_graph(*NETWORKS[name]())
        return known[name]

    return graph


def boxes_of(block, times=1):
    """Yields each box with how often it stands for an equal one."""
    for child in block.children:
        if isinstance(child, Box):
            yield child, times * child.repeats
        else:
            yield from boxes_of(child, times * child.repeats)


def inner_blocks(placed):
    yield placed
    for child in placed.children:
        if child.children:
            yield from inner_blocks(child)


def points_of(curve):
    """Yields points along a wire, as the SVG draws it."""
    for (x, y), (a, b) in itertools.pairwise(curve):
        for step in range(21):
            t = step / 20
            # The control points are at half of the height, below the start and above the end.
            along = 3 * t * (1 - t) * (y + b) / 2 + (1 - t) ** 3 * y + t**3 * b
            yield x + (a - x) * (3 * t**2 - 2 * t**3), along


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("depth", [None, 1])
def test_no_box_covers_another_and_no_wire_passes_through_a_box(name, depth, graphs):
    placed = place(drawn(graphs(name), depth))
    for block in inner_blocks(placed):
        frames = [(c.x, c.y, c.x + c.width, c.y + c.height) for c in block.children]
        for (l1, t1, r1, b1), (l2, t2, r2, b2) in itertools.combinations(frames, 2):
            assert l1 >= r2 or l2 >= r1 or t1 >= b2 or t2 >= b1
        for left, top, right, bottom in frames:
            assert left >= 0 and top >= 0 and right <= block.width and bottom <= block.height
            for curve in block.curves:
                for x, y in points_of(curve):
                    assert not (left + 1 < x < right - 1 and top + 1 < y < bottom - 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_svg_is_whole_and_its_texts_are_inside(name, graphs):
    model, shape = NETWORKS[name]()
    with jax.numpy_dtype_promotion("standard"):
        text = diagram(model, shape, name="<A & B>")
    root = ElementTree.fromstring(text)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert root.attrib["role"] == "img"
    assert "<A & B>" in root.attrib["aria-label"]
    assert root[0].tag == f"{SVG}title"
    for each in root.iter(f"{SVG}text"):
        assert 0 < float(each.attrib["x"]) < width
        assert 0 < float(each.attrib["y"]) < height
        assert float(each.attrib["font-size"]) >= 11
    # Nothing is loaded, and both themes have their colors.
    assert "prefers-color-scheme:dark" in text
    assert "href" not in text
    assert "url(" not in text


def test_shapes_and_parameters_are_written(graphs):
    model, shape = NETWORKS["plain"]()
    with jax.numpy_dtype_promotion("standard"):
        root = ElementTree.fromstring(diagram(model, shape))
    texts = ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]
    kernel = 3 * 3 * 3 * 4 + 4
    assert str(kernel) in texts
    # Below the input, the first block, the pool and the block that is used twice.
    assert [text for text in texts if re.fullmatch(r"\d+(×\d+)*", text) and "×" in text] == [
        *("8×8×3", "8×8×4", "4×4×4", "4×4×4")
    ]
    hovers = ["".join(each.itertext()) for each in root.iter(f"{SVG}title")]
    assert any("Block_0/Conv_0 (Conv), 8×8×4" in hover for hover in hovers)
    assert any("params" not in hover and "kernel 3×3×3×4" in hover for hover in hovers)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("depth", [None, 1, 2])
def test_the_boxes_hold_all_layers_and_all_parameters(name, depth, graphs):
    graph = graphs(name)
    whole = drawn(graph, depth, fold=False)
    nodes = [i for box, _ in boxes_of(whole) for i in box.nodes]
    assert sorted(nodes) == list(range(len(graph.nodes)))
    # Parameters of a loop are those of all its turns.
    assert sum(box.parameters for box, _ in boxes_of(whole)) == graph.parameters
    if name != "loop":
        folded = drawn(graph, depth)
        assert sum(box.parameters * times for box, times in boxes_of(folded)) == graph.parameters


def test_equal_blocks_are_drawn_once(graphs):
    graph = graphs("resnet20_cifar")
    root = blocks(graph, 9)
    fold_repeats(root)
    assert [(c.name, c.repeats, c.last) for c in root.children if not isinstance(c, Box)] == [
        ("stage1_block1", 3, "stage1_block3"),
        ("stage2_block1", 1, "stage2_block1"),
        ("stage2_block2", 2, "stage2_block3"),
        ("stage3_block1", 1, "stage3_block1"),
        ("stage3_block2", 2, "stage3_block3"),
    ]
    # Folded modules are counted as blocks are.
    top = drawn(graph, 1)
    assert [box.repeats for box, _ in boxes_of(top) if box.is_folded] == [3, 1, 2, 1, 2]
    assert box_count(drawn(graph, 1, fold=False)) == box_count(top) + 4


def test_a_loop_has_its_number_of_turns(graphs):
    (loop,) = [child for child in drawn(graphs("loop")).children if not isinstance(child, Box)]
    assert (loop.name, loop.repeats) == ("ScanResidual_0", 4)


def test_layers_that_work_in_place_are_lines_of_a_box(graphs):
    root = drawn(graphs("plain"))
    lines = [(box.name, box.title, *box.lines) for box, _ in boxes_of(root)]
    assert lines == [
        ("", "Input"),
        ("Block", "Conv 3×3", "ReLU"),
        ("", "Max pool", "2×2, stride 2"),
        ("shared", "Conv 3×3", "ReLU"),
        ("shared", "Conv 3×3", "ReLU", "BatchNorm", "Flatten"),
        ("", "Dense"),
        ("", "Output"),
    ]


def test_layers_are_described():
    def described(model, shape):
        root = drawn(network_graph(model, shape))
        return [(box.title, *box.lines) for box, _ in boxes_of(root)][1:-1]

    conv = linen.Conv(8, (3, 5), strides=(2, 1), feature_group_count=2)
    assert described(conv, (9, 9, 4)) == [("Conv 3×5", "stride 2×1", "2 groups")]
    conv = linen.Conv(8, (3, 3), feature_group_count=4, kernel_dilation=2)
    assert described(conv, (9, 9, 4)) == [("Conv 3×3", "depthwise", "dilation 2")]
    mean = Function(lambda x: (jnp.exp(x) + jnp.tanh(x)) / 2)
    assert described(mean, (4, 4, 1))[-1] == ("Mean",)
    scaled = Function(lambda x: (jnp.exp(x) + jnp.tanh(x)) / 3)
    assert described(scaled, (4, 4, 1))[-1] == ("Add", "divided")


def test_without_igraph_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "igraph", None)
    with pytest.raises(MissingPackage, match=r"igraph.*cnnjax\[report\]"):
        diagram(models.create_model("lenet5"), (32, 32, 1))


@pytest.mark.parametrize("depth", [0, -1, 2.0, True, "2"])
def test_a_depth_is_a_positive_integer(depth):
    with pytest.raises(ValueError, match=f"diagram: depth {depth!r} must be a positive integer"):
        diagram(models.create_model("lenet5"), (32, 32, 1), depth=depth)


def test_the_command_writes_a_file(tmp_path, capsys):
    path = tmp_path / "net.svg"
    assert main(["lenet5", f"--output={path}", "--depth=1"]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert ElementTree.fromstring(path.read_text()).tag == f"{SVG}svg"
    own = tmp_path / "own.svg"
    size = "--input_size=8,8,3"
    assert main(["tests.analysis.diagrams.test_diagram:Wide", f"--output={own}", size]) == 0
    assert "Wide" in own.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lenet55"], "did you mean lenet5"),
        (["lenet5", "--output=net.png"], r"--output 'net.png' must end in .svg"),
        (["lenet5", "--depth=0"], "depth 0 must be a positive integer"),
        (["lenet5", "--output=no/such/folder/net.svg"], "the folder no/such/folder does not"),
        (["tests.analysis.nets:PlainNet"], "give --input_size=H,W,C"),
    ],
)
def test_the_command_refuses(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert re.search(message, capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "most", "folds"),
    [
        ("googlenet", 430, 0),
        # Its modules mixed_6c and mixed_6d are equal.
        ("inception_v3", 470, 1),
        ("resnet152", 320, 4),
        ("fractalnet20", 430, 0),
        ("preact_resnet164_cifar", 320, 3),
    ],
)
def test_large_networks_fit_a_phone(name, most, folds):
    graph = network_graph(models.create_model(name), models.model_info(name).input_size)
    root = drawn(graph)
    assert sum(c.repeats > 1 for c in root.children) == folds
    assert box_count(root) <= MOST_BOXES
    assert sum(box.parameters * times for box, times in boxes_of(root)) == graph.parameters
    placed = place(root)
    assert placed.width <= most
    assert placed.height > 10 * LINE
