"""Compiling without the compiler's slow passes, where compiling is what takes a test's time."""

import functools

import jax

quickly = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
"""`jax.jit`; the values are the same up to rounding, the programs slow."""
