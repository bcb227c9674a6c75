"""Tests run under strict promotion rules, with shapes verified, on eight virtual CPU devices."""

import gc
import os
import re

# Before jax is imported: the number of virtual devices is read once.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
).strip()

# scikit-learn's threads spin while they wait, and the test processes share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests import shape_checks

# Before cnnjax is imported: its functions are changed as their modules are compiled.
shape_checks.install()

# Before anything computes: importing cnnjax adds a flag of its own to XLA_FLAGS.
import cnnjax  # noqa: E402, F401, I001
import jax  # noqa: E402
import pytest  # noqa: E402

from tests.helpers.photographs import write_photographs  # noqa: E402
from tests.helpers.programs import compile_quickly  # noqa: E402
from tests.helpers.tiny_run import TINY  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


# Tracing makes many objects and little garbage: looking for it took a seventh of the tests' time.
gc.set_threshold(20_000, 20, 20)


def pytest_collection_finish():
    """Keeps what is imported, and the tests themselves, out of all later searches for garbage."""
    gc.collect()
    gc.freeze()


def pytest_configure(config):
    """Compiles without the slow passes, unless the slow tests are selected.

    Compiling takes most of the default tests' time. Processes that a test starts inherit it.
    """
    slow = re.search(r"(?<!not )\bslow\b", config.option.markexpr)
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "0" if slow else "1")
    compile_quickly(os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] != "0")


@pytest.fixture(scope="session", autouse=True)
def compilation_cache(tmp_path_factory):
    """One program is compiled once, for all test processes and the processes that they start.

    Where CNNJAX_TEST_PROGRAMS names a folder, the programs are kept there for further runs.
    """
    session = tmp_path_factory.getbasetemp()
    # Each worker of one test run has its folder beneath a common one.
    if "PYTEST_XDIST_WORKER" in os.environ:
        session = session.parent
    kept = os.environ.get("CNNJAX_TEST_PROGRAMS")
    folder = kept or str(session / "compiled")
    # Writing a small program takes a tenth of its compilation, and reading it a fifth.
    seconds = 0.0 if kept else 0.2
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = str(seconds)
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", seconds)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A TFDS folder with the digits, for the tests of one process."""
    from cnnjax import data

    folder = str(tmp_path_factory.mktemp("tfds"))
    data.load_arrays(data.dataset("digits"), "test", folder)
    return folder


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """A folder of 24 images to train on and 7 to test, of three classes; not to be changed."""
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_config():
    """Two steps an epoch, three epochs: 128 examples to train on, the others are evaluated."""
    from cnnjax import recipes

    return recipes.parse_config(TINY)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, tiny_config, data_dir):
    """The folder and the result of a tiny run that logged every step; not to be changed."""
    from cnnjax import recipes, training

    workdir = tmp_path_factory.mktemp("finished") / "run"
    cadence = training.Cadence(log_every=1)
    with jax.numpy_dtype_promotion("standard"):
        run = recipes.make_run(tiny_config, data_dir=data_dir)
        return workdir, training.fit(run, workdir, cadence=cadence, progress=False)
