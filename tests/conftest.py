"""Tests run under strict promotion rules, with shapes verified, on eight virtual CPU devices."""

import os
import re

# Before jax is imported: the number of virtual devices is read once.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
).strip()

# scikit-learn's threads spin while they wait, and the test processes share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

from tests import shape_checks

# Before cnnjax is imported: the hook changes its functions as their modules are compiled.
install_import_hook(["cnnjax", "experiments"], f"{shape_checks.__name__}.check_shapes")

# Before anything computes: importing cnnjax adds a flag of its own to XLA_FLAGS.
import cnnjax  # noqa: E402, F401, I001
import jax  # noqa: E402
import pytest  # noqa: E402

from tests.helpers.programs import compile_quickly  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_configure(config):
    """Compiles without the slow passes, unless the slow tests are selected.

    Compiling takes most of the default tests' time. Processes that a test starts inherit it.
    """
    slow = re.search(r"(?<!not )\bslow\b", config.option.markexpr)
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "0" if slow else "1")
    compile_quickly(os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] != "0")


@pytest.fixture(scope="session", autouse=True)
def compilation_cache(tmp_path_factory):
    """One program is compiled once, for all test processes and the processes that they start."""
    # Each worker of one test run has its folder beneath a common one.
    folder = str(tmp_path_factory.getbasetemp().parent / "compiled")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        folder = str(tmp_path_factory.getbasetemp() / "compiled")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
