"""The update rules by name: optax's own, under optax's names, and Muon for convolutions.

A rule is a function `(learning_rate, **options)` that returns an `optax.GradientTransformation`;
`learning_rate` is the schedule.
"""

from collections.abc import Callable
from typing import Any

import jax
import optax
from optax.contrib import MuonDimensionNumbers

from cnnjax.parts import Registry

OptimizerRule = Callable[..., optax.GradientTransformation]

OPTIMIZERS: Registry[OptimizerRule] = Registry("optimizer", example="my_package.optim:my_rule")

_OPTAX = """
adabelief adadelta adafactor adagrad adam adamax adamaxw adamw adan amsgrad fromage lamb lars lion
nadam nadamw novograd optimistic_adam_v2 optimistic_gradient_descent radam rmsprop sgd sign_sgd
signum yogi
"""

_OPTAX_CONTRIB = """
acprop ademamix adopt cocob dadapt_adamw dog dowg madgrad momo momo_adam prodigy simplified_ademamix
"""

# Left out are rules that take no schedule (polyak_sgd, rprop, sm3), that need a value which no
# configuration can hold (noisy_sgd's key), or that need more than one gradient per step: line
# searches (lbfgs), Hessians (sophia), gradients at other parameters (schedule_free), wrappers of a
# rule (sam, galore, ...).
for _name in _OPTAX.split():
    OPTIMIZERS.add(_name, getattr(optax, _name))
for _name in _OPTAX_CONTRIB.split():
    OPTIMIZERS.add(_name, getattr(optax.contrib, _name))


@OPTIMIZERS.register("muon")
def muon(
    learning_rate: optax.ScalarOrSchedule,
    *,
    beta: float = 0.95,
    nesterov: bool = True,
    ns_coeffs: Any = (3.4445, -4.7750, 2.0315),
    ns_steps: int = 5,
    eps: float = 1e-8,
    adaptive: bool = False,
    preconditioning: str = "frobenius",
    consistent_rms: float | None = None,
    adam_b1: float = 0.9,
    adam_b2: float = 0.999,
    weight_decay: float = 0.0,
    mask: Any = None,
) -> optax.GradientTransformation:
    """Returns Muon (Jordan et al. 2024) for kernels, and AdamW for all other parameters.

    The momentum of a kernel is orthogonalized as a matrix of inputs by outputs: that of a
    convolution, [height, width, inputs, outputs], as one of height * width * inputs rows. optax's
    own Muon takes matrices only, and hands convolutions to Adam.

    Args:
        learning_rate: that of both rules; `optimizer.rates` has factors for some parameters.
        beta: decay rate of Muon's momentum.
        nesterov: whether the momentum has Nesterov's form.
        ns_coeffs: coefficients of the Newton-Schulz iteration.
        ns_steps: number of its iterations.
        eps: added to denominators, which keeps them from 0.
        adaptive: whether updates are scaled by the original ones' dual norm.
        preconditioning: how the iteration's start is scaled: "frobenius", "spectral", "aol" or
            "schatten".
        consistent_rms: see `optax.contrib.muon`.
        adam_b1: AdamW's decay rate of the mean gradient.
        adam_b2: AdamW's decay rate of the mean squared gradient.
        weight_decay: of both rules, apart from the gradient, times the learning rate.
        mask: which parameters decay.
    """
    directions = optax.contrib.muon(
        1.0,
        ns_coeffs=tuple(ns_coeffs) if isinstance(ns_coeffs, list) else ns_coeffs,
        ns_steps=ns_steps,
        beta=beta,
        eps=eps,
        nesterov=nesterov,
        adaptive=adaptive,
        preconditioning=preconditioning,  # pyright: ignore[reportArgumentType]
        adam_b1=adam_b1,
        adam_b2=adam_b2,
        muon_weight_dimension_numbers=kernel_matrices,
        consistent_rms=consistent_rms,
    )
    return optax.chain(
        directions,
        # The directions point downhill; the steps after this one expect them uphill, as gradients.
        optax.scale(-1.0),
        optax.add_decayed_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )


def kernel_matrices(params: Any) -> Any:
    """Returns how Muon reshapes kernels to matrices of inputs by outputs; None for the others.

    Args:
        params: a tree of arrays whose kernels are named `kernel` and have the outputs last.
    """

    def matrix(path: Any, leaf: jax.Array) -> MuonDimensionNumbers | None:
        name = jax.tree_util.keystr(path[-1:], simple=True)
        if name != "kernel" or leaf.ndim < 2:
            return None
        return MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), (leaf.ndim - 1,))

    return jax.tree_util.tree_map_with_path(matrix, params)
