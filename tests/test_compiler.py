"""The guard against wrong numbers of XLA's CPU compiler, in processes with and without it.

Each started process takes two or three seconds, so that one process does what can be done in one.
"""

import json
import os
import sys
from importlib import metadata
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import compiler, models, nn, ops
from tests.helpers.processes import ROOT, run_python
from tests.helpers.programs import all_optimizations

FAULTY = metadata.version("jaxlib") not in ("0.10.0", "0.10.1")
"""Whether this jaxlib was seen to be wrong; the tests fail with a newer one that is right."""

PROGRAMS = """
import json
import jax
import jax.numpy as jnp
import numpy as np
import cnnjax
from cnnjax import compiler, ops

rng = np.random.default_rng(0)
normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)


def error(function, expected, *inputs, jit=jax.jit):
    "The largest error over the largest true value."
    found = np.asarray(jit(function)(*inputs), np.float64)
    return float(np.nan_to_num(np.abs(found - expected).max() / np.abs(expected).max(), nan=np.inf))


double = lambda x: np.asarray(x, np.float64)
squares, tall, matrix = normal(64, 16, 16), normal(32769, 3), normal(3, 3)
rows, images = normal(8, 64, 32), normal(16, 14, 14, 64)

constant = jax.vmap(lambda m: jnp.sum((m @ jnp.full_like(m, 0.5)) * m))
constant_expected = (0.5 * double(squares).sum(2) ** 2).sum(1)
filled = jax.vmap(lambda x: jnp.sum((x @ jnp.full((32, 16), 0.5)) ** 2))
filled_expected = 16 * ((0.5 * double(rows).sum(2)) ** 2).sum(1)
of_rows = jax.vmap(lambda r: jnp.sum((matrix @ r) ** 2))
of_rows_expected = ((double(tall) @ double(matrix).T) ** 2).sum(1)

# A box filter: 3x3 means over all 64 channels, put out 64 times.
sums = np.pad(double(images).sum(3), ((0, 0), (1, 1), (1, 1)))
windows = sum(sums[:, i : i + 14, j : j + 14] for i in range(3) for j in range(3))
box_expected = 64 * ((windows / 576) ** 2).sum((1, 2))
box = lambda conv: lambda x: jnp.sum(conv(x, jnp.full((3, 3, 64, 64), 1 / 576)) ** 2, (1, 2, 3))
lax_conv = lambda x, k: jax.lax.conv_general_dilated(
    x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
)
"""

MEASURE = """
print(json.dumps({
    "constant matrix": error(constant, constant_expected, squares),
    "constant product": error(filled, filled_expected, rows),
    "many rows": error(of_rows, of_rows_expected, tall),
    "box filter of lax": error(box(lax_conv), box_expected, images),
    "box filter of ours": error(box(ops.conv2d), box_expected, images),
}))
"""


def run(program: str, **environment: str) -> str:
    """Returns what a new Python prints, without this process's flags of XLA; warnings as well."""
    other = ("XLA_FLAGS", compiler.OPT_OUT, "JAX_DISABLE_MOST_OPTIMIZATIONS")
    kept = {k: v for k, v in os.environ.items() if k not in other}
    done = run_python("-c", program, environment=kept | {"JAX_PLATFORMS": "cpu"} | environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def fresh(monkeypatch):
    """What `guard` sees in a new process: no XLA_FLAGS, and no backend that has started."""
    monkeypatch.setattr(compiler, "_version", {"jaxlib": "0.12.0.1"}.get)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.delenv(compiler.OPT_OUT, raising=False)
    started(monkeypatch, None)
    return monkeypatch


def started(monkeypatch, platform: str | None) -> None:
    bridge = SimpleNamespace(
        backends_are_initialized=lambda: platform is not None, default_backend=lambda: platform
    )
    monkeypatch.setitem(sys.modules, "jax._src.xla_bridge", bridge)


@pytest.mark.process
def test_known_faults_are_gone_with_the_guard_which_may_come_after_jax():
    errors = json.loads(run(PROGRAMS + MEASURE))
    assert max(errors.values()) < 1e-4, errors


@pytest.mark.process
@pytest.mark.skipif(not FAULTY, reason="this jaxlib has no such fault")
def test_known_faults_are_there_without_the_guard():
    errors = json.loads(run(PROGRAMS + MEASURE, CNNJAX_KEEP_XLA_FLAGS="1"))
    assert errors["constant matrix"] > 0.1 or errors["constant product"] > 0.1, errors
    assert errors["box filter of lax"] > 0.1 or errors["box filter of ours"] > 0.1, errors
    if metadata.version("jaxlib") == "0.10.2":
        assert errors["many rows"] > 1e-3, errors


@pytest.mark.process
def test_where_the_backend_has_started_cnnjax_warns_and_its_own_programs_are_right():
    program = PROGRAMS.replace(
        "import cnnjax\n",
        "import warnings\n"
        "jnp.ones(()).block_until_ready()\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    import cnnjax\n"
        "import os\n",
    )
    program += """
print(json.dumps({
    "warnings": [str(each.message) for each in caught],
    "file": caught[0].filename,
    "flags": os.environ.get("XLA_FLAGS"),
    "plain": error(filled, filled_expected, rows),
    "ours": error(filled, filled_expected, rows, jit=compiler.jit),
}))
"""
    found = json.loads(run(program))
    assert len(found["warnings"]) == 1
    assert "before the first computation" in found["warnings"][0]
    assert found["file"] == "<string>"  # where the user imports it
    assert found["flags"] is None
    assert found["ours"] < 1e-4
    assert not FAULTY or found["plain"] > 0.1


@pytest.mark.process
def test_importing_cnnjax_loads_no_jax_and_ops_load_no_flax():
    program = (
        "import sys, cnnjax\n"
        "assert 'jax' not in sys.modules\n"
        "sys.modules['flax'] = None  # importing it fails\n"
        "from cnnjax import ops\n"
        "import jax.numpy as jnp\n"
        "print(ops.relu(jnp.float32(-1)), 'ops' in dir(cnnjax))"
    )
    assert run(program).split() == ["0.0", "True"]


def test_the_page_shows_what_is_printed_and_the_tests_themselves_are_guarded(capsys):
    page = (ROOT / "docs" / "compiler.md").read_text()
    exec(page.split("```python\n")[1].split("```")[0], {})
    assert capsys.readouterr().out.strip("[]\n").split() == ["262144."] * 8


def test_an_unknown_name_is_an_attribute_error():
    import cnnjax

    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = cnnjax.nope


@pytest.mark.parametrize("before", ["", "--xla_force_host_platform_device_count=8"])
def test_the_flag_is_added_to_those_that_are_there(fresh, before):
    fresh.setenv("XLA_FLAGS", before)
    compiler.guard()
    assert os.environ["XLA_FLAGS"].split() == [*before.split(), compiler.FLAG]
    compiler.guard()  # once is enough
    assert os.environ["XLA_FLAGS"].count(compiler.FLAG) == 1


def test_a_flag_that_the_user_set_stays_and_holds_for_our_programs(fresh):
    flags = f"{compiler.FLAG}dot --xla_cpu_enable_fast_math=false"
    fresh.setenv("XLA_FLAGS", flags)
    compiler.guard()
    assert os.environ["XLA_FLAGS"] == flags
    assert compiler.compiler_options("cpu") == {}


def test_opting_out_leaves_the_variable_alone_without_a_warning(fresh):
    fresh.setenv(compiler.OPT_OUT, "1")
    compiler.guard()
    assert "XLA_FLAGS" not in os.environ


@pytest.mark.parametrize(
    ("versions", "platform", "flags", "message"),
    [
        ({"jaxlib": "0.13.0"}, None, "", "jaxlib 0.13.0 was not tried"),
        ({}, None, "", "jaxlib of unknown version was not tried"),
        ({"jaxlib": "0.12.0.1", "tensorflow": "2.20.0"}, None, "", "Install 2.21.0"),
        ({"jaxlib": "0.12.0.1", "torch-xla": "2.9.0"}, None, "", "torch-xla 2.9.0 reads XLA_FLAGS"),
        ({"jaxlib": "0.12.0.1"}, "cpu", "", "before the first computation"),
        ({"jaxlib": "0.12.0.1"}, None, "flags.txt", "XLA_FLAGS names a file"),
    ],
)
def test_obstacles_are_named_in_a_warning_and_nothing_is_set(
    fresh, versions, platform, flags, message
):
    fresh.setattr(compiler, "_version", versions.get)
    started(fresh, platform)
    fresh.setenv("XLA_FLAGS", flags)
    with pytest.warns(UserWarning, match=message) as caught:
        compiler.guard()
    assert len(caught) == 1
    assert os.environ["XLA_FLAGS"] == flags


def test_a_tried_tensorflow_and_a_started_gpu_are_no_obstacle(fresh):
    fresh.setattr(compiler, "_version", {"jaxlib": "0.10.2", "tensorflow": "2.21.0"}.get)
    started(fresh, "gpu")
    compiler.guard()
    assert os.environ["XLA_FLAGS"] == compiler.FLAG


def test_a_file_of_flags_that_has_the_flag_is_enough(fresh, tmp_path):
    (tmp_path / "flags.txt").write_text(f"--xla_cpu_enable_fast_math=false\n{compiler.FLAG}\n")
    fresh.setenv("XLA_FLAGS", str(tmp_path / "flags.txt"))
    compiler.guard()
    assert os.environ["XLA_FLAGS"] == str(tmp_path / "flags.txt")


def test_compiler_options_are_for_cpu_alone_and_handed_on_by_ops():
    assert ops.compiler_options is compiler.compiler_options
    assert ops.compiler_options("gpu") == ops.compiler_options("tpu") == {}
    assert ops.compiler_options() == {compiler.OPTION: ""}


def test_options_that_an_untried_xla_does_not_know_are_left_out(monkeypatch):
    monkeypatch.setattr(compiler, "_version", {"jaxlib": "0.13.0"}.get)
    monkeypatch.setattr(compiler, "OPTION", "xla_no_such_option")
    compiler._knows_option.cache_clear()
    try:
        assert compiler.compiler_options("cpu") == {}
    finally:
        compiler._knows_option.cache_clear()


@pytest.mark.parametrize("runs_once", [False, True])
def test_jit_works_alone_and_within_other_transformations(runs_once):
    def power(x, exponent):
        """x to a power."""
        return x**exponent

    square = compiler.jit(power, runs_once=runs_once, static_argnames="exponent")
    x = jnp.arange(3.0)
    assert square.__doc__ == power.__doc__
    for found in (
        square(x, exponent=2),
        jax.jit(lambda x: square(x, exponent=2))(x),
        jax.vmap(lambda x: square(x, exponent=2))(x),
        jax.grad(lambda x: square(x, exponent=3).sum())(x) / 3,
    ):
        np.testing.assert_array_equal(found, [0, 1, 4])
    with jax.disable_jit():
        np.testing.assert_array_equal(square(x, exponent=2), [0, 1, 4])


@pytest.mark.slow
def test_a_program_that_runs_once_is_optimized_less_and_initializes_to_the_same_values(monkeypatch):
    model = models.create_model("resnet8_cifar")

    def init(key):
        return nn.init_network(model, key, jnp.zeros((1, 32, 32, 3)))

    given = []
    jit = jax.jit

    def recorded(function, compiler_options=None, **options):
        if compiler_options is not None:
            given.append(compiler_options)
        return jit(function, compiler_options=compiler_options, **options)

    monkeypatch.setattr(jax, "jit", recorded)
    with all_optimizations():
        first = compiler.jit(init, runs_once=True)(jax.random.key(3))
        second = compiler.jit(init)(jax.random.key(3))
    assert [options.get(compiler.LEVEL) for options in given] == [1, None]
    jax.tree.map(np.testing.assert_array_equal, first, second)
