"""A network's whole training step in PyTorch: eager or compiled, channels_last, on CPU or GPU."""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from scripts.benchmarks.cases.whole_nets import WholeNet
from scripts.benchmarks.pytorch.nets import torch_net


def torch_step(
    net: WholeNet,
    model: Any,
    variables: Mapping[str, Any],
    images: np.ndarray,
    labels: np.ndarray,
    *,
    learning_rate: float,
    momentum: float,
    device: str,
    dtype: str,
    compiled: bool,
) -> Callable[[], float]:
    """Returns a function that does a step, waits for it, and returns the loss before the update.

    Args:
        net: a network of the benchmark.
        model: the same network in cnnjax.
        variables: its weights.
        images: the batch, NHWC.
        labels: the class of each image.
        learning_rate: of SGD.
        momentum: of SGD.
        device: "cpu" or "cuda".
        dtype: "float32", or "bfloat16" for automatic mixed precision (autocast).
        compiled: whether `torch.compile` compiles the network, in its default mode.
    """
    network = torch_net(net, model, variables).to(device)
    on_gpu = device == "cuda"
    # One kernel updates all parameters on a GPU; on CPU, PyTorch chooses.
    optimizer = torch.optim.SGD(
        network.parameters(), learning_rate, momentum=momentum, fused=True if on_gpu else None
    )
    forward: Any = torch.compile(network) if compiled else network
    # A view of NHWC memory: channels_last.
    x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
    # cross_entropy takes no int32.
    y = torch.from_numpy(labels).to(device).long()
    weights = [1.0, *net.auxiliary.values()]

    def run() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
            outputs = forward(x)
        outputs = (outputs,) if isinstance(outputs, torch.Tensor) else tuple(outputs)
        losses = [torch.nn.functional.cross_entropy(logits.float(), y) for logits in outputs]
        loss = torch.stack([w * v for w, v in zip(weights, losses, strict=True)]).sum()
        loss.backward()
        optimizer.step()
        if on_gpu:
            torch.cuda.synchronize()
        return loss.item()

    return run


def set_up(device: str, threads: int, tf32: bool) -> None:
    """Sets PyTorch's threads on CPU; on a GPU, whether it may compute float32 products in TF32.

    There cuDNN also measures which of its algorithms is fastest, as XLA does.

    Args:
        device: "cpu" or "cuda".
        threads: threads of an operation on CPU.
        tf32: whether TF32 is allowed on a GPU.

    Raises:
        RuntimeError: this PyTorch cannot use the GPU that JAX uses.
    """
    torch.set_num_threads(threads)
    if device == "cuda":
        if not torch.cuda.is_available():
            raise RuntimeError(
                "JAX runs on a GPU that this PyTorch cannot use; install one built for CUDA, or "
                "leave it out by --no_torch"
            )
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
