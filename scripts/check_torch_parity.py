"""Compares networks with torchvision's and timm's: the same random weights, the same logits.

Needs torch, torchvision and timm beside cnnjax; no other part of the project does. Weights, and
batch norms' parameters and statistics, are drawn at random, written as safetensors and loaded by
`load_pretrained`. The reference is the other library's network in float64; ours is in float32.
torchvision's network also loads the file of `export_torchvision` strictly; its arrays must be the
same to the bit.

    python -m scripts.check_torch_parity --output=docs/results/weights_parity.md
    python -m scripts.check_torch_parity resnet18 googlenet
    python -m scripts.check_torch_parity densenet121 --output=docs/results/weights_parity.md --merge
    python -m scripts.check_torch_parity fcn_resnet50 --output=docs/results/weights_parity_dense.md
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cnnjax import models
from cnnjax.models.net import Net
from cnnjax.pixel_statistics import IMAGENET_MEAN, IMAGENET_STD
from scripts.torch_parity_cases import CASES, Case
from scripts.torchvision_import import import_torchvision

LIMIT = 1e-4


def check_installed() -> None:
    """Imports torch, torchvision and timm, or stops and names what to install.

    Raises:
        SystemExit: one of them is missing.
    """
    try:
        import_torchvision()
        import timm  # noqa: F401
    except ImportError as error:
        raise SystemExit(
            f"this check compares with torchvision and timm, but {error.name} is not installed: "
            "pip install torch torchvision timm"
        ) from None


def their_network(case: Case) -> Any:
    """Returns the other library's network with random weights, in float32, for evaluation.

    Args:
        case: the networks to compare.
    """
    import timm
    import torch
    import torchvision

    torch.manual_seed(0)
    name = case.theirs or case.name
    if case.library == "timm":
        network = timm.create_model(name, **case.options)
    else:
        slow = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        network = torchvision.models.get_model(name, **slow, **case.options)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
        elif isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                torch.nn.init.normal_(module.bias, 0, 0.1)
    return network.eval()


def their_logits(network: Any, heads: Mapping[str, tuple[str, str]], images: Any) -> dict[str, Any]:
    """Returns the logits, and those of auxiliary heads, which evaluation does not compute.

    Args:
        network: the other library's.
        heads: see `Case`.
        images: a batch, channels first.
    """
    import torch

    kept: dict[str, Any] = {}

    def keep(source: str) -> Any:
        return lambda module, inputs, output: kept.update({source: output})

    hooks = [network.get_submodule(s).register_forward_hook(keep(s)) for s, _ in heads.values()]
    with torch.no_grad():
        logits = _by_name(network(images))
        for feature, (source, head) in heads.items():
            logits[feature] = network.get_submodule(head)(kept[source])
    for hook in hooks:
        hook.remove()
    return {name: value.numpy() for name, value in logits.items()}


def _by_name(outputs: Any) -> dict[str, Any]:
    """Returns a network's outputs by our names; those for each pixel with the classes last."""
    if not isinstance(outputs, Mapping):
        return {"logits": outputs}
    names = {"out": "logits", "aux": "aux1"}
    return {names[name]: value.permute(0, 2, 3, 1) for name, value in outputs.items()}


def images_for(case: Case, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images for our network (NHWC, float32) and for theirs, which may transform them.

    Args:
        case: the networks to compare.
        size: height and width.
    """
    images = np.random.default_rng(0).normal(size=(2, *size, 3))
    if not case.options.get("transform_input"):
        return images.astype(np.float32), images
    # From ImageNet's statistics to a mean and deviation of 0.5.
    mean, std = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
    return ((images * std + mean - 0.5) / 0.5).astype(np.float32), images


def check(case: Case, folder: Path) -> Iterator[tuple[str, ...]]:
    """Compares a case at each size.

    Args:
        case: the networks to compare.
        folder: for files of weights.

    Yields:
        Rows: library and network, ours, size, output, largest logit, our largest difference and
        PyTorch's own (float32 to float64), both relative to the largest logit.

    Raises:
        SystemExit: a difference is above the limit, or the exported file does not fit.
    """
    import safetensors.torch
    import torch

    network = their_network(case)
    state = network.state_dict()
    path = folder / "weights.safetensors"
    safetensors.torch.save_file(state, path)
    model = models.create_model(case.name, variant=case.variant, **case.ours)
    assert isinstance(model, Net)
    variables = models.load_pretrained(model, path, case.library)
    if case.library == "torchvision":
        models.export_torchvision(model, variables, path)
        exported = safetensors.torch.load_file(path)
        network.load_state_dict(exported, strict=True)
        if any(not torch.equal(state[name], exported[name]) for name in state):
            raise SystemExit(f"{case}: the exported arrays are not the loaded ones")

    apply = jax.jit(lambda v, x: models.apply_with_features(model, v, x))
    for size in case.sizes:
        ours_see, theirs_see = images_for(case, size)
        channels_first = torch.from_numpy(theirs_see.transpose(0, 3, 1, 2))
        single = their_logits(network.float(), case.heads, channels_first.float())
        double = their_logits(network.double(), case.heads, channels_first)
        logits, features = apply(variables, ours_see)
        for output, expected in double.items():
            got = np.asarray(logits if output == "logits" else features[output])
            largest = np.abs(expected).max()
            error = np.abs(got - expected).max() / largest
            if not error <= LIMIT:
                raise SystemExit(f"{case}: {output} at {size} differ by {error:.1e}")
            theirs = np.abs(single[output] - expected).max() / largest
            options = {k: v for k, v in case.options.items() if v is not None}
            extra = ", ".join(f"{k}={v}" for k, v in options.items())
            yield (
                f"{case.library} {case.theirs or case.name}" + (f" ({extra})" if extra else ""),
                case.name + "".join(f", {k}={v}" for k, v in case.ours.items()),
                "x".join(map(str, size)),
                output,
                f"{largest:.3g}",
                f"{error:.1e}",
                f"{theirs:.1e}",
            )


# Columns that name what was compared.
NAMED = 4


def merged(
    rows: list[tuple[str, ...]], commands: list[str], before: str
) -> tuple[list[tuple[str, ...]], list[str]]:
    """Returns the rows and commands of an earlier report, with new ones in place and behind.

    Args:
        rows: from `check`.
        commands: the command lines that made them.
        before: text of the earlier report.
    """
    table = [line.strip("| ").split(" | ") for line in before.splitlines() if line[:2] == "| "]
    # The first two lines are the names of the columns, and what Markdown puts beneath them.
    found = {tuple(cells[:NAMED]): tuple(cells) for cells in table[2:]}
    found.update({row[:NAMED]: row for row in rows})
    earlier = [line.split("`")[1] for line in before.splitlines() if line.startswith("Command: ")]
    return list(found.values()), [*earlier, *(c for c in commands if c not in earlier)]


def versions() -> str:
    """Returns the versions of everything that takes part, and the device."""
    found = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("torch", "torchvision", "timm", "jax", "flax", "safetensors")
    )
    return f"{found}; Python {platform.python_version()}, {jax.default_backend()}."


def report(rows: list[tuple[str, ...]], commands: list[str], versions: str) -> str:
    """Returns the table, with the commands and the versions that made it.

    Args:
        rows: from `check`.
        commands: the command lines.
        versions: from `versions`.
    """
    header = "network there, here, size, output, largest logit, our float32, PyTorch's float32"
    names = tuple(header.split(", "))
    table = [names, tuple("---" for _ in names), *rows]
    return "\n".join(
        [
            "# The same weights, the same logits",
            "",
            "Random weights, batch norms' parameters and statistics among them, are written in the",
            "other library's layout and loaded by `load_pretrained`. The two columns on the right",
            "are the largest difference from that library's network in float64, divided by the",
            f"largest logit: of our network in float32 (limit {LIMIT:.0e}) and, for comparison, of",
            "that library's own in float32. Batches of two. torchvision's files came back from",
            "`export_torchvision` the same to the bit, and loaded strictly.",
            "",
            *(line for command in commands for line in (f"Command: `{command}`", "")),
            versions,
            "",
            *("| " + " | ".join(row) + " |" for row in table),
            "",
        ]
    )


def main() -> None:
    """Runs the cases and prints or writes the table."""
    parser = argparse.ArgumentParser(description="Compare logits with torchvision's and timm's.")
    parser.add_argument("names", nargs="*", help="registered names; all if none are given")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    parser.add_argument("--merge", action="store_true", help="keep the other rows of the file")
    arguments = parser.parse_args()
    if arguments.merge and not (arguments.output and arguments.output.exists()):
        raise SystemExit("--merge needs --output=FILE with the file of an earlier run")
    known = {case.name for case in CASES}
    if unknown := sorted(set(arguments.names) - known):
        raise SystemExit(f"no case for {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    check_installed()
    before = arguments.output.read_text() if arguments.merge else None
    if before is not None and versions() not in before:
        raise SystemExit(f"--merge: {arguments.output} was made by other versions: {versions()}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if not arguments.names or case.name in arguments.names:
                for row in check(case, Path(folder)):
                    print(*row, sep="  ", flush=True)
                    rows.append(row)
    commands = [" ".join(["python -m scripts.check_torch_parity", *sys.argv[1:]])]
    if before is not None:
        rows, commands = merged(rows, commands, before)
    if arguments.output:
        arguments.output.write_text(report(rows, commands, versions()))


if __name__ == "__main__":
    main()
