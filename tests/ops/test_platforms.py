"""Forms for CPUs and for all other platforms: which of them a program holds."""

import jax
import jax.numpy as jnp

from cnnjax.ops.platforms import by_platform, for_cpu_alone


def either(x):
    return by_platform(x, cpu=jnp.cos, default=jnp.sin)


def test_a_program_holds_both_forms_unless_it_is_for_cpus_alone():
    both = str(jax.make_jaxpr(either)(1.0))
    assert "cos" in both and "sin" in both
    with for_cpu_alone(True):
        one = str(jax.make_jaxpr(either)(1.0))
    assert "cos" in one and "sin" not in one


def test_a_function_is_traced_anew_where_the_platforms_differ():
    function = jax.jit(either)
    outside = function.trace(1.0).jaxpr
    with for_cpu_alone(True):
        inside = function.trace(1.0).jaxpr
        assert function(1.0) == jnp.cos(1.0)
    assert "sin" in str(outside) and "sin" not in str(inside)
    assert "sin" in str(function.trace(1.0).jaxpr)
