"""Each pass of a convolution as functions to time: every formulation that has it, and PyTorch.

All take the same two arrays. Their errors are distances from PyTorch's own result in float64.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.compiler import compiler_options
from cnnjax.ops.conv import dispatch, onednn
from cnnjax.ops.conv import spec as conv_spec
from scripts.benchmarks.cases.layers import Conv

CHECKED = 8
"""Images of a result that are compared with the exact ones."""


@dataclasses.dataclass(frozen=True)
class ConvPass:
    """One pass of a layer.

    Attributes:
        layer: the layer's sizes, with the batch that is timed.
        name: "forward", "input_grad" or "kernel_grad".
        dtype: of the arrays.
    """

    layer: Conv
    name: str
    dtype: str

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """Batch, height, width and channels of the layer's input."""
        layer = self.layer
        return (layer.batch, layer.size, layer.size, layer.channels)

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """Height, width, channels of a group, and filters."""
        layer = self.layer
        return (layer.kernel, layer.kernel, layer.channels // layer.groups, layer.filters)

    @property
    def spec(self) -> conv_spec.ConvSpec:
        """The convolution."""
        layer = self.layer
        return conv_spec.parse(
            "choices",
            self.input_shape,
            self.kernel_shape,
            strides=layer.stride,
            padding=layer.padding,
            dilation=1,
            groups=layer.groups,
        )

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        """Batch, height, width and filters of the layer's output."""
        size = self.spec.output_size(self.input_shape[1:3], self.kernel_shape[:2])
        return (self.layer.batch, *size, self.layer.filters)

    def chosen(self, platform: str) -> list[str]:
        """Returns the names of the functions that `dispatch.choose` picks: without, with oneDNN.

        Args:
            platform: a name that `jax.default_backend()` may return.
        """
        shapes = self.input_shape, self.kernel_shape, platform
        chosen = [dispatch.choose(self.name, self.spec, *shapes)]
        if onednn.is_there():
            chosen.append(_calling(dispatch.choose(self.name, self._calling_spec, *shapes)))
        return chosen

    @property
    def _calling_spec(self) -> conv_spec.ConvSpec:
        return dataclasses.replace(self.spec, onednn=True)

    @property
    def array_shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of the two arrays that the pass takes."""
        x, kernel, grad = self.input_shape, self.kernel_shape, self.output_shape
        return {"forward": (x, kernel), "input_grad": (grad, kernel), "kernel_grad": (x, grad)}[
            self.name
        ]

    def arrays(self) -> tuple[jax.Array, jax.Array]:
        """Returns the two arrays: standard normal numbers, which repeat after a few million."""
        numbers = np.random.default_rng(0).standard_normal(4_000_037, np.float32)
        first, second = (np.resize(numbers, shape) for shape in self.array_shapes)
        return jnp.asarray(first, self.dtype), jnp.asarray(second[::-1], self.dtype)

    def functions(self, left_out: list[str]) -> dict[str, tuple[Callable, dict[str, Any]]]:
        """Returns the formulations that have the pass and take the layer, with compiler options.

        Where the package sets options, "lax" is lax's own form without them. Where XLA can call
        oneDNN, each formulation is there once more, compiled with it.

        Args:
            left_out: names of formulations.
        """
        static = {
            "forward": (),
            "input_grad": (self.input_shape[1:3],),
            "kernel_grad": (self.kernel_shape[:2],),
        }[self.name]
        options = compiler_options()
        own = {
            name: module
            for name, module in dispatch.ALGORITHMS.items()
            if name not in left_out
            and hasattr(module, self.name)
            and not module.refuses(self.spec, self.input_shape, self.kernel_shape)
        }
        found = {
            name: (partial(getattr(module, self.name), self.spec, *static), options)
            for name, module in own.items()
        }
        if onednn.is_there():
            calling = {**options, onednn.OPTION: True}
            for name, module in own.items():
                call = partial(getattr(module, self.name), self._calling_spec, *static)
                found[_calling(name)] = (call, calling)
        return {"lax": (found["direct"][0], {}), **found} if options else found


def _calling(name: str) -> str:
    return f"{name}, oneDNN"


def compile_all(
    passes: list[ConvPass], left_out: list[str]
) -> list[dict[str, jax.stages.Compiled | str]]:
    """Returns each pass's compiled formulations, or an error's first line in place of one.

    On an accelerator all are compiled at once, by as many threads as there are cores.

    Args:
        passes: passes of layers.
        left_out: names of formulations that are not compiled.
    """
    alone = jax.default_backend() == "cpu"
    with concurrent.futures.ThreadPoolExecutor(1 if alone else os.cpu_count()) as pool:
        started = []
        for each in passes:
            shapes = [jax.ShapeDtypeStruct(shape, each.dtype) for shape in each.array_shapes]
            started.append(
                {
                    name: pool.submit(_compiled, function, options, shapes)
                    for name, (function, options) in each.functions(left_out).items()
                }
            )
        return [{name: job.result() for name, job in jobs.items()} for jobs in started]


def in_a_row(call: Callable[[], Any], wait: Callable[[Any], Any], calls: int) -> Callable[[], Any]:
    """Returns a function that makes some calls in a row and waits for the last.

    Args:
        call: starts the work.
        wait: waits for what it returned.
        calls: how many.
    """

    def run() -> None:
        for _ in range(calls - 1):
            call()
        wait(call())

    return run


def torch_pass(
    each: ConvPass, arrays: tuple[jax.Array, jax.Array], dtype: str = ""
) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """Returns PyTorch's form of a pass, and what waits for it.

    Args:
        each: the pass.
        arrays: what it takes, whose memory PyTorch shares.
        dtype: of the computation; the pass's own if empty. float64 is computed in PyTorch's order
            of axes, which all of its kernels know, any other dtype in channels_last.
    """
    import torch  # pyright: ignore[reportMissingImports]

    layer, on_gpu = each.layer, jax.default_backend() == "gpu"
    own = [torch.from_dlpack(array).to(getattr(torch, dtype or each.dtype)) for array in arrays]
    form = torch.contiguous_format if dtype == "float64" else torch.channels_last

    def image(array: Any) -> Any:
        return array.permute(0, 3, 1, 2).contiguous(memory_format=form)

    def kernel(array: Any) -> Any:
        return array.permute(3, 2, 0, 1).contiguous(memory_format=form)

    settings = ([layer.stride] * 2, [layer.padding] * 2, [1, 1], False, [0, 0], layer.groups)
    if each.name == "forward":
        x, k = image(own[0]), kernel(own[1])
        call = partial(torch.ops.aten.convolution, x, k, None, *settings)
    else:
        to_input = each.name == "input_grad"
        g = image(own[0] if to_input else own[1])
        # The one of x and the kernel that is not read gives its shape.
        x = image(g.new_empty(each.input_shape) if to_input else own[0])
        k = kernel(own[1] if to_input else g.new_empty(each.kernel_shape))
        mask = [to_input, not to_input, False]
        call = partial(torch.ops.aten.convolution_backward, g, x, k, None, *settings, mask)

    def wait(result: Any) -> Any:
        if on_gpu:
            torch.cuda.synchronize()
        return result

    return call, wait


def as_numpy(each: ConvPass, result: Any) -> np.ndarray:
    """Returns the checked part of PyTorch's result of a pass in our order of axes, in float64.

    Args:
        each: the pass.
        result: what its function returned.
    """
    if each.name == "kernel_grad":
        return result[1].double().permute(2, 3, 1, 0).cpu().numpy()
    found = result if each.name == "forward" else result[0]
    return found[:CHECKED].double().permute(0, 2, 3, 1).cpu().numpy()


def relative_error(found: Any, exact: np.ndarray) -> float:
    """Returns the norm of the difference over the norm of the exact result.

    Args:
        found: an array; of images, the first ones are compared.
        exact: what it should be, in float64.
    """
    difference = np.asarray(found)[: len(exact)].astype(np.float64) - exact
    return float(np.linalg.norm(difference) / np.linalg.norm(exact))


def _compiled(function: Callable, options: dict[str, Any], shapes: list[Any]) -> Any:
    try:
        return jax.jit(function, compiler_options=options).lower(*shapes).compile()
    except jax.errors.JaxRuntimeError as error:
        return str(error).partition("\n")[0]
