import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.analysis import plots
from cnnjax.analysis.invariance import InvarianceCurve
from cnnjax.analysis.layer_rows import Row
from cnnjax.analysis.signals import depth_study, initializers


def test_plotters_draw_what_they_are_given(tmp_path):
    import jax

    rng = np.random.default_rng(0)
    row = Row("c", "Conv", (8, 8, 4), field=(5, 5), stride=(2, 2), padding=(2, 2))
    curve = InvarianceCurve("shift", np.arange(3.0), np.ones(3), np.full(3, 0.5))
    study = depth_study(jnp.tanh, initializers()["LeCun"], jax.random.key(0), depth=3, width=8)
    figures = {
        "colour": (plots.plot_kernels(rng.normal(size=(3, 3, 3, 10))), 10),
        # Two input channels: a picture for each pair, and one axis for the scale.
        "grey": (plots.plot_kernels(rng.normal(size=(3, 3, 2, 2))), 5),
        "maps": (plots.plot_maps(rng.normal(size=(6, 6, 9))), 16 + 1),
        "overlay": (
            plots.plot_overlay(rng.uniform(size=(16, 16, 1)), rng.uniform(size=(4, 4)), row=row),
            3,
        ),
        "invariance": (plots.plot_invariance([curve, curve]), 2),
        "depth": (plots.plot_depth({"LeCun": study}), 4),
        "stack": (plots.plot_field_stack({"three 3x3": (3, 3, 3), "one 7x7": (7,)}), 2),
        "embedding": (plots.plot_embedding(np.ones((20, 20, 3))), 1),
    }
    for name, (figure, axes) in figures.items():
        assert len(figure.axes) == (16 if name == "colour" else axes), name
        figure.savefig(tmp_path / f"{name}.png", dpi=30)
    box = figures["overlay"][0].axes[1].patches[0]
    # Unit 4 of 8 begins at 4·2 - 2.
    assert (box.get_x(), box.get_y(), box.get_width()) == (5.5, 5.5, 5)


def test_field_stack_says_what_three_3x3_save():
    figure = plots.plot_field_stack({"three 3x3": (3, 3, 3), "one 7x7": (7,)}, channels=2)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["three 3x3: 27C² = 108 weights", "one 7x7: 49C² = 196 weights"]


def test_maps_of_other_ranks_are_refused():
    with pytest.raises(ValueError, match=r"expected .height, width, channels."):
        plots.plot_maps(np.zeros((3, 3)))
