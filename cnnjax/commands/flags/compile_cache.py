"""The flag for the folder in which compiled programs are kept between two starts."""

import os
from pathlib import Path

import jax
from absl import flags

GROUP = "Other"

_COMPILE_CACHE = flags.DEFINE_string(
    "compile_cache",
    None,
    "Folder of compiled programs, from which a later start takes them; 'off' for none. If not "
    "given: $JAX_COMPILATION_CACHE_DIR, or cnnjax/compiled in the user's cache folder.",
)


def use_compile_cache() -> None:
    """Makes jax keep compiled programs in the folder of the flag."""
    folder = _COMPILE_CACHE.value or os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if not folder:
        caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = str(Path(caches) / "cnnjax" / "compiled")
    jax.config.update("jax_compilation_cache_dir", None if folder == "off" else folder)
