"""The modules of Inception-v3, written as branches side by side.

Each module is a tuple of branches, each branch a chain of steps: "64 3x3" is a unit of 64
channels (height x width), "384 3x3/2" one of stride 2 without padding, "avg" and "max" are 3x3
pools (the maximum of stride 2, without padding), and "384 1x3 | 384 3x1" are two units on the same
input, their channels concatenated.
"""

from typing import Any

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch rows columns features"]
Branches = tuple[str, ...]


class Mixed(linen.Module):
    """Branches side by side, their channels concatenated.

    Attributes:
        branches: see the file's docstring.
        unit: makes a convolution with batch norm and rectifier.
        avg_pool, max_pool: make the pools.
    """

    branches: Branches
    unit: Any
    avg_pool: Any
    max_pool: Any

    @linen.compact
    def __call__(self, x: Images) -> Maps:
        """Applies the module.

        Args:
            x: feature maps.
        """
        outputs = []
        for b, branch in enumerate(self.branches, start=1):
            y = x
            for s, step in enumerate(branch.split(", "), start=1):
                parts = step.split(" | ")
                # The two units of a split are "a" and "b".
                ends = ("a", "b") if len(parts) == 2 else ("",)
                made = [
                    self.step(part, f"branch{b}_{s}{end}")(y)
                    for part, end in zip(parts, ends, strict=True)
                ]
                y = jnp.concatenate(made, axis=-1)
            outputs.append(y)
        return jnp.concatenate(outputs, axis=-1)

    def step(self, text: str, name: str) -> Any:
        """Returns the layer that a step of a branch describes.

        Args:
            text: the step, such as "64 3x3"; see the file's docstring.
            name: of the layer.
        """
        if text == "avg":
            return self.avg_pool(3, 1, padding=1, name=name)
        if text == "max":
            return self.max_pool(3, 2, name=name)
        features, shape = text.split(" ")
        size, _, stride = shape.partition("/")
        height, width = (int(n) for n in size.split("x"))
        return self.unit(
            int(features),
            (height, width),
            strides=int(stride or 1),
            # Strided units lose the border, which takes 35 to 17 and 17 to 8.
            padding="VALID" if stride else "SAME",
            name=name,
        )
