"""Our convolution in the place of `jax.lax.conv_general_dilated`, which other libraries call."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Any

import jax

from cnnjax.ops.conv.lax_bridge import conv_general_dilated

# A part of the key of jit's caches: what was traced outside of a block is traced again within it.
_within = jax.make_user_context(False)


class _Place:
    """The name in `jax.lax`. Blocks of several threads may overlap, so that they are counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses = 0
        self._before: Any = None

    def take(self) -> None:
        """Puts our convolution there, unless it is there already."""
        with self._lock:
            if self._uses == 0:
                self._before = jax.lax.conv_general_dilated
                jax.lax.conv_general_dilated = conv_general_dilated
            self._uses += 1

    def leave(self) -> None:
        """Puts back what was there, if this was the last use."""
        with self._lock:
            self._uses -= 1
            # Whoever has put something else there since keeps it.
            if self._uses == 0 and jax.lax.conv_general_dilated is conv_general_dilated:
                jax.lax.conv_general_dilated = self._before


_place = _Place()


class InLax:
    """Our convolution is in lax: for the rest of the process, or until a `with` block ends."""

    def __init__(self) -> None:
        self._context: AbstractContextManager[Any] | None = None
        self._has_ended = False
        _place.take()

    def __enter__(self) -> None:
        if self._context is not None or self._has_ended:
            raise RuntimeError(
                "use_in_lax: this block was entered before; call ops.use_in_lax() for each block"
            )
        self._context = _within(True)
        self._context.__enter__()

    def __exit__(self, *error: Any) -> None:
        context, self._context, self._has_ended = self._context, None, True
        _place.leave()
        if context is not None:
            context.__exit__(*error)


def use_in_lax() -> InLax:
    """Puts `conv_general_dilated` of this package in the place of `jax.lax.conv_general_dilated`.

    Libraries that convolve by `jax.lax.conv_general_dilated`, such as Haiku, Equinox and
    `flax.linen`, then train by the rules of this package, with no change in their networks.

    As a statement it acts for the rest of the process: call it before anything is compiled, since
    programs compiled earlier keep lax's convolution. In a `with` block it acts until the block
    ends; functions under `jax.jit` that are called within are traced again. The name is that of
    the process: other threads find our convolution there too. Code that has taken the function
    from lax before (`from jax.lax import conv_general_dilated`, or the default of
    `flax.nnx.Conv`) keeps lax's; pass `conv_general_dilated` to it.

    Returns:
        A context manager for one `with` block, which need not be used.

    Example:
        >>> import jax
        >>> from cnnjax import ops
        >>> with ops.use_in_lax():
        ...     jax.lax.conv_general_dilated is ops.conv_general_dilated
        True
        >>> jax.lax.conv_general_dilated is ops.conv_general_dilated
        False
    """
    return InLax()
