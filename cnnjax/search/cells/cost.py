"""What a network costs, counted from shapes."""

from dataclasses import dataclass

import flax.linen as linen
import jax

from cnnjax import analysis


@dataclass(frozen=True)
class NetCost:
    """What a network costs.

    Attributes:
        multiply_adds: of convolutions and dense layers, for one image.
        parameters: trainable ones.
    """

    multiply_adds: int
    parameters: int


def net_cost(net: linen.Module, input_size: tuple[int, int, int]) -> NetCost:
    """Returns what a network costs; nothing is compiled.

    Args:
        net: any Flax module.
        input_size: height, width and channels of an image.
    """
    images = jax.ShapeDtypeStruct((1, *input_size), "float32")
    variables = jax.eval_shape(net.init, jax.random.key(0), images)
    counted = analysis.multiply_adds(net, input_size, variables=variables)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    return NetCost(counted, parameters)
