"""Writes a network as StableHLO, and proves by reading it again that the logits are the same.

The file holds the network, its weights and the versions of its operations (`jax.export`); to call
it, jax is needed and nothing else:

    python -m scripts.export_model resnet18 resnet18.stablehlo --weights=resnet18.safetensors

    exported = jax.export.deserialize(bytearray(Path("resnet18.stablehlo").read_bytes()))
    logits = exported.call(images)  # [batch, 224, 224, 3] in float32, any batch
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from cnnjax import models
from cnnjax.models.net import Net
from cnnjax.models.weights.files import check_folder

# Of the largest logit; the same operations are compiled twice, once for any batch.
LIMIT = 1e-5


def export(
    model: Net,
    variables: Mapping[str, Any],
    input_size: tuple[int, int, int],
    path: Path,
    platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
) -> float:
    """Writes a network with its weights as serialized StableHLO.

    Args:
        model: a network of the zoo.
        variables: its variables.
        input_size: height, width and channels of the images; the batch stays free.
        path: of the file to write.
        platforms: what it is lowered for.

    Returns:
        The largest difference between the network's logits and those of the file read again,
        divided by the largest logit, on random images on this machine.

    Raises:
        SystemExit: flatbuffers is not installed; or the difference is above `LIMIT`, or a logit is
            not finite, and then no file is left.
    """
    try:
        import flatbuffers  # noqa: F401
    except ImportError:
        raise SystemExit(
            "writing StableHLO needs flatbuffers: pip install 'cnnjax[export]'"
        ) from None

    def logits(images: jax.Array) -> jax.Array:
        return jnp.asarray(model.apply(variables, images, train=False))

    shape = jax.export.symbolic_shape(f"batch, {', '.join(map(str, input_size))}")
    exported = jax.export.export(jax.jit(logits), platforms=list(platforms))(
        jax.ShapeDtypeStruct(shape, jnp.float32)
    )
    path.write_bytes(exported.serialize())

    images = np.random.default_rng(0).normal(size=(2, *input_size)).astype(np.float32)
    expected = np.asarray(jax.jit(logits)(images), np.float64)
    got = np.asarray(jax.export.deserialize(bytearray(path.read_bytes())).call(images), np.float64)
    difference = float(np.abs(got - expected).max() / np.abs(expected).max())
    # Not `difference > LIMIT`, which is false for NaN.
    if not difference <= LIMIT:
        path.unlink()
        raise SystemExit(
            f"the logits of {path}, read again, differ by {difference:.1e} of the largest (limit "
            f"{LIMIT:.0e}); no file is left"
        )
    return difference


def main() -> None:
    """Reads the command line, loads the weights and exports."""
    parser = argparse.ArgumentParser(description="Write a network as StableHLO.")
    parser.add_argument("name", help="registered network")
    parser.add_argument("output", type=Path, help="file to write")
    parser.add_argument("--variant", help="form of the network, such as torchvision")
    parser.add_argument("--num_classes", type=int, help="logits; as published if not given")
    parser.add_argument("--weights", type=Path, help="safetensors file; random if not given")
    parser.add_argument(
        "--source", default="torchvision", help="whose weights: torchvision, timm or cnnjax"
    )
    parser.add_argument("--input_size", type=int, nargs=3, metavar=("HEIGHT", "WIDTH", "CHANNELS"))
    parser.add_argument("--platforms", nargs="+", default=["cpu", "cuda", "tpu"])
    arguments = parser.parse_args()
    try:
        check_folder(arguments.output)
        model = models.create_model(
            arguments.name, arguments.num_classes, variant=arguments.variant
        )
        if not isinstance(model, Net):
            raise ValueError(f"{arguments.name} is no network of cnnjax; export its own way")
        info = models.model_info(arguments.name, arguments.variant)
        height, width, channels = arguments.input_size or info.input_size
        size = (height, width, channels)
        if arguments.weights:
            variables = models.load_pretrained(
                model, arguments.weights, arguments.source, input_size=size
            )
        else:
            variables = model.init(jax.random.key(0), jnp.zeros((1, *size), jnp.float32))
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None
    difference = export(model, variables, size, arguments.output, arguments.platforms)
    print(
        f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB for "
        f"{', '.join(arguments.platforms)}; read again, the logits differ by {difference:.1e} of "
        f"the largest on {jax.default_backend()}"
    )


if __name__ == "__main__":
    main()
