import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.analysis.behavior.depth_study import DepthStudy, depth_study, initializers
from cnnjax.analysis.behavior.invariance import InvarianceCurve
from cnnjax.analysis.cost.layer_rows import Row
from cnnjax.analysis.plots import plots
from cnnjax.analysis.plots.depth import plot_depth, plot_depth_grid


def test_plotters_draw_what_they_are_given(tmp_path):
    import jax

    rng = np.random.default_rng(0)
    row = Row("c", "Conv", (8, 8, 4), field=(5, 5), stride=(2, 2), padding=(2, 2))
    curve = InvarianceCurve("shift", np.arange(3.0), np.ones(3), np.full(3, 0.5))
    study = depth_study(jnp.tanh, initializers()["LeCun"], jax.random.key(0), depth=3, width=8)
    figures = {
        "color": (plots.plot_kernels(rng.normal(size=(3, 3, 3, 10))), 10),
        # Two input channels: a picture for each pair, and one axis for the scale.
        "gray": (plots.plot_kernels(rng.normal(size=(3, 3, 2, 2))), 5),
        "maps": (plots.plot_maps(rng.normal(size=(6, 6, 9))), 16 + 1),
        "overlay": (
            plots.plot_overlay(rng.uniform(size=(16, 16, 1)), rng.uniform(size=(4, 4)), row=row),
            3,
        ),
        "invariance": (plots.plot_invariance([curve, curve]), 2),
        "depth": (plot_depth({"LeCun": study}), 4),
        "stack": (plots.plot_field_stack({"three 3x3": (3, 3, 3), "one 7x7": (7,)}), 2),
        "gallery": (
            plots.plot_gallery(
                [[np.ones((4, 4)), np.ones((6, 6, 3))]] * 2, ["map", "colors"], ["a", "b"]
            ),
            4,
        ),
        "embedding": (plots.plot_embedding(np.ones((20, 20, 3))), 1),
    }
    for name, (figure, axes) in figures.items():
        assert len(figure.axes) == (16 if name == "color" else axes), name
        figure.savefig(tmp_path / f"{name}.png", dpi=30)
    box = figures["overlay"][0].axes[1].patches[0]
    # Unit 4 of 8 starts at 4·2 - 2.
    assert (box.get_x(), box.get_y(), box.get_width()) == (5.5, 5.5, 5)


def test_field_stack_counts_weights():
    figure = plots.plot_field_stack({"three 3x3": (3, 3, 3), "one 7x7": (7,)}, channels=2)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["three 3x3: 27C² = 108 weights", "one 7x7: 49C² = 196 weights"]


def test_depth_grid_writes_the_figures_of_the_last_layer_and_the_first():
    def study(value):
        names = ("mean", "std", "saturated", "gradient", "variety")
        return DepthStudy(**{n: np.array([value + i, 9.0]) for i, n in enumerate(names)})

    figure = plot_depth_grid({"zero": {"tanh": study(0.0), "ReLU": study(10.0)}})
    spread, gradient = (
        {text.get_position(): text.get_text() for text in axes.texts} for axes in figure.axes[:2]
    )
    assert spread == {(0, 0): "9.00", (1, 0): "9.00"}
    assert gradient == {(0, 0): "3.00", (1, 0): "13.00"}
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["zero"]


def test_figures_are_read_on_dark_cells():
    values = {
        n: np.array([1e-9, 1e-9]) for n in ("mean", "std", "saturated", "gradient", "variety")
    }
    figure = plot_depth_grid({"small": {"tanh": DepthStudy(**values)}})
    assert [axes.texts[0].get_color() for axes in figure.axes] == [
        "white",
        "white",
        "black",
        "black",
    ]


def test_of_many_maps_the_first_are_drawn_and_the_title_gives_their_number():
    figure = plots.plot_kernels(np.ones((3, 3, 32, 64)), "conv", limit=16)
    drawn = [axes for axes in figure.axes if axes.get_images()]
    assert len(drawn) == 16
    assert figure.get_suptitle() == "conv\nthe first 16 of 2,048"


def test_maps_of_other_ranks_are_refused():
    with pytest.raises(ValueError, match=r"expected .height, width, channels."):
        plots.plot_maps(np.zeros((3, 3)))
