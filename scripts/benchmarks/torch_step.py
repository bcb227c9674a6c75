"""A network's whole training step in PyTorch: eager or compiled, channels_last, on CPU or GPU."""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from scripts.benchmarks.torch_nets import torch_net
from scripts.benchmarks.whole_nets import WholeNet


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
    """Returns what does a step, waits for it, and returns the loss before the update.

    Args:
        net, model, variables: the network and its weights, in cnnjax.
        images, labels: the batch, NHWC.
        learning_rate, momentum: of SGD.
        device: "cpu" or "cuda".
        dtype: "float32", or "bfloat16" for automatic mixed precision (autocast).
        compiled: whether `torch.compile` compiles the network, in its default mode.
    """
    network = torch_net(net, model, variables).to(device)
    on_gpu = device == "cuda"
    optimizer = torch.optim.SGD(
        network.parameters(), learning_rate, momentum=momentum, fused=True if on_gpu else None
    )
    forward: Any = torch.compile(network) if compiled else network
    # A view of NHWC memory: channels_last.
    x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
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
    """Sets PyTorch's threads on CPU; on a GPU, whether float32 products may be done in TF32.

    There cuDNN also measures which of its algorithms is fastest, as XLA does.

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
