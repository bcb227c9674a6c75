from contextlib import closing

import jax.numpy as jnp
import pytest

from cnnjax import training
from cnnjax.training.loop.profiler import Profiler, parse_steps


def test_steps_are_read_with_both_ends():
    assert list(parse_steps("3:5")) == [3, 4, 5]
    assert list(parse_steps("7:7")) == [7]
    assert list(parse_steps(None)) == []


@pytest.mark.parametrize("text", ["5", "5:3", "0:3", "a:b", "1:", "-1:3"])
def test_other_texts_are_refused(text):
    with pytest.raises(training.ConfigError, match="give the first and the last step"):
        parse_steps(text)


def test_a_trace_lies_in_the_folder_when_its_last_step_is_done(tmp_path):
    with closing(Profiler(tmp_path, range(2, 4))) as profiler:
        written = []
        for step in range(1, 6):
            profiler.before(step)
            written.append(profiler.after(step, jnp.ones(3) * step))
    assert written == [False, False, True, False, False]
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))


def test_a_trace_is_whole_when_the_run_ends_within_it(tmp_path):
    with closing(Profiler(tmp_path, range(2, 100))) as profiler:
        profiler.before(2)
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))
