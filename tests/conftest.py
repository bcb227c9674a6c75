"""Tests run under strict promotion rules, with shapes verified, on eight virtual CPU devices."""

import os

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

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
