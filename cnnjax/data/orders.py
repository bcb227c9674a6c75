"""Orders: the examples of each step as a function of a key and the step.

They are drawn in blocks of many steps, since drawing for each step alone would keep the host busy.
"""

from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, Int32

from cnnjax.data.read.order import epoch_order, steps_per_epoch

Block = Int32[np.ndarray, "block_steps batch"]
Labels = Int[np.ndarray, " examples"]

OwnOrder = Callable[[int, int], Int[np.ndarray, " batch"]]
"""A user's order: (seed, step) -> the positions of the step's examples."""

# Blocks of small sets have at least this many steps, so that blocks are seldom drawn.
_LEAST_STEPS = 64
# Episodes are drawn one by one, so that a larger block would delay its first step.
_MOST_EPISODES = 256


class Order(Protocol):
    """Decides which examples are in the batch of each step.

    Attributes:
        batch_size: examples in a batch, over all devices.
        block_steps: steps in a block.
        repeats: whether an example may come twice in a block.
    """

    batch_size: int
    block_steps: int
    repeats: bool

    def block(self, number: int) -> Block:
        """Returns the positions of the examples of `block_steps` steps.

        Args:
            number: number of the block, from 0; its first step is `number * block_steps`.
        """
        ...


def positions_at(order: Order, step: int) -> Int32[np.ndarray, " batch"]:
    """Returns the positions of the examples of one step.

    Args:
        order: the order.
        step: the step, from 0.
    """
    number, row = divmod(step, order.block_steps)
    return order.block(number)[row]


def key_words(key: jax.Array) -> tuple[int, ...]:
    """Returns a key as numbers, which another process can use without a device.

    Args:
        key: the key.
    """
    return tuple(int(word) for word in np.asarray(jax.random.key_data(key)).reshape(-1))


class ShuffledOrder:
    """Examples in a new random order each epoch.

    Args:
        key: a random key, from which the order is drawn.
        num_examples: size of the set.
        batch_size: examples in a batch, over all devices.
        wrap: whether a batch may span two epochs, so that each example comes equally often, and a
            set may be smaller than a batch. Otherwise a block is an epoch; its last examples are
            left out where they do not fill a batch.

    Raises:
        ValueError: the set is smaller than a batch, and `wrap` is False.
    """

    def __init__(self, key: jax.Array, num_examples: int, batch_size: int, wrap: bool = False):
        self._words = np.asarray(jax.random.key_data(key))
        self._size = num_examples
        self.batch_size = batch_size
        self.repeats = wrap
        if wrap:
            self.block_steps = max(_LEAST_STEPS, num_examples // batch_size)
        else:
            self.block_steps = steps_per_epoch(num_examples, batch_size)

    def block(self, number: int) -> Block:
        """Returns a block of shuffled positions; see `Order.block`.

        Args:
            number: number of the block, from 0.
        """
        key = jax.random.wrap_key_data(jnp.asarray(self._words))
        wanted = self.block_steps * self.batch_size
        if not self.repeats:
            flat = np.asarray(epoch_order(key, number, self._size))[:wanted]
            return flat.reshape(self.block_steps, self.batch_size)
        first, skipped = divmod(number * wanted, self._size)
        # The most epochs that a block can reach, so that all blocks compile to one program.
        rounds = first + np.arange(-(-wanted // self._size) + 1, dtype=np.int32)
        orders = jax.vmap(lambda epoch: epoch_order(key, epoch, self._size))(rounds)
        flat = np.asarray(orders).reshape(-1)[skipped : skipped + wanted]
        return flat.reshape(self.block_steps, self.batch_size)


class BalancedOrder:
    """All classes equally often in each batch, whatever their sizes.

    The numbers of examples per class differ by one at most, within a batch and over all steps so
    far. Every example of a class comes once before any comes again.

    Args:
        key: a random key, from which the order is drawn.
        labels: the class of each example.
        batch_size: examples in a batch, over all devices.
    """

    repeats = True

    def __init__(self, key: jax.Array, labels: Labels, batch_size: int):
        self._words = key_words(key)
        self._members = _members(labels)[1]
        generator = np.random.default_rng(self._words)
        self._members = [self._members[i] for i in generator.permutation(len(self._members))]
        self.batch_size = batch_size
        self.block_steps = max(_LEAST_STEPS, len(labels) // batch_size)

    def block(self, number: int) -> Block:
        """Returns a block with equal numbers of each class; see `Order.block`.

        Args:
            number: number of the block, from 0.
        """
        classes = len(self._members)
        each, extra = divmod(self.batch_size, classes)
        steps = number * self.block_steps + np.arange(self.block_steps)
        # The rows left after all classes have equal shares go to the classes in turn.
        around = (steps[:, None] * extra + np.arange(extra)) % classes
        equal = np.tile(np.repeat(np.arange(classes), each), (self.block_steps, 1))
        chosen = np.concatenate([equal, around], axis=1).reshape(-1)
        places = np.split(
            # Stable, so that the rows of a class stay in the order of the steps.
            np.argsort(chosen, kind="stable"),
            np.cumsum(np.bincount(chosen, minlength=classes))[:-1],
        )
        block = np.empty(chosen.shape, np.int32)
        for index, rows in enumerate(places):
            # The examples of this class in all earlier steps: the equal shares, and its turns.
            before = steps[0] * each + (steps[0] * extra - index + classes - 1) // classes
            block[rows] = self._drawn(index, int(before), len(rows))
        # Classes are mixed, so that each device, which takes adjacent rows, gets all of them.
        # The 0 here and the 1 in `_drawn` give batches and classes different draws.
        generator = np.random.default_rng([*self._words, 0, number])
        return generator.permuted(block.reshape(self.block_steps, -1), axis=1)

    def _drawn(self, index: int, before: int, count: int) -> np.ndarray:
        """Returns the `count` examples of a class that follow its first `before` ones."""
        members = self._members[index]
        first, skipped = divmod(before, len(members))
        last = (before + count - 1) // len(members)
        shuffles = [
            np.random.default_rng([*self._words, 1, index, turn]).permutation(members)
            for turn in range(first, last + 1)
        ]
        # The empty slice keeps the dtype where `count` is zero.
        return np.concatenate([members[:0], *shuffles])[skipped : skipped + count]


class EpisodeOrder:
    """Few-shot tasks: each step draws some classes, and some examples of each.

    The first rows of a batch are the support, class by class; then come the queries, class by class
    in the same order (Vinyals et al. 2016, section 4.1).

    Args:
        key: a random key, from which the order is drawn.
        labels: the class of each example.
        ways: classes in an episode.
        shots: support examples of each class.
        queries: further examples of each class.
        class_names: names of the classes by label, for messages.

    Raises:
        ValueError: there are fewer classes than ways, or classes with too few examples.
    """

    repeats = True

    def __init__(
        self,
        key: jax.Array,
        labels: Labels,
        ways: int,
        shots: int,
        queries: int,
        class_names: tuple[str, ...] = (),
    ):
        found, self._members = _members(labels)
        self._ways, self._shots, self._each = ways, shots, shots + queries
        if len(found) < ways:
            raise ValueError(
                f"ways: {ways} classes were requested, but there are {len(found)}; "
                f"give {len(found)} or less"
            )
        few = [
            f"{class_names[label] if 0 <= label < len(class_names) else label} ({len(members)})"
            for label, members in zip(found, self._members, strict=True)
            if len(members) < self._each
        ]
        if few:
            raise ValueError(
                f"episodes: {shots} shots and {queries} queries need {self._each} examples of each "
                f"class; too few in {', '.join(few)}: request fewer, or leave these classes out"
            )
        self._words = key_words(key)
        self.batch_size = ways * self._each
        self.block_steps = min(_MOST_EPISODES, max(1, len(labels) // self.batch_size))

    def block(self, number: int) -> Block:
        """Returns a block of episodes; see `Order.block`.

        Args:
            number: number of the block, from 0.
        """
        generator = np.random.default_rng([*self._words, number])
        return np.stack([self._episode(generator) for _ in range(self.block_steps)])

    def _episode(self, generator: np.random.Generator) -> Int32[np.ndarray, " batch"]:
        classes = generator.choice(len(self._members), self._ways, replace=False)
        drawn = np.stack(
            [generator.choice(self._members[index], self._each, replace=False) for index in classes]
        )
        support, queries = drawn[:, : self._shots], drawn[:, self._shots :]
        return np.concatenate([support.reshape(-1), queries.reshape(-1)])


class FunctionOrder:
    """An order that a user's function gives, step by step.

    Args:
        own: (seed, step) -> positions of the step's examples, [batch]; equal arguments must give
            equal positions.
        key: a random key, from which the seed is made.
        num_examples: size of the set.
        batch_size: examples in a batch, over all devices.
    """

    repeats = True
    block_steps = 1

    def __init__(self, own: OwnOrder, key: jax.Array, num_examples: int, batch_size: int):
        self._own = own
        # Big-endian, so that the seed is the same on every machine.
        self._seed = int.from_bytes(np.asarray(key_words(key), ">u4").tobytes())
        self._size = num_examples
        self.batch_size = batch_size

    def block(self, number: int) -> Block:
        """Returns the positions of one step; see `Order.block`.

        Args:
            number: the step, from 0.

        Raises:
            ValueError: the function returned something other than a batch of positions.
        """
        positions = np.asarray(self._own(self._seed, number))
        name = getattr(self._own, "__qualname__", repr(self._own))
        if positions.shape != (self.batch_size,) or positions.dtype.kind not in "iu":
            raise ValueError(
                f"order: {name} returned {positions.dtype} {positions.shape} for step {number}; it "
                f"has to return the positions of a batch's examples, whole numbers "
                f"[{self.batch_size}]"
            )
        if positions.min() < 0 or positions.max() >= self._size:
            raise ValueError(
                f"order: {name} returned positions {positions.min()} to {positions.max()} for step "
                f"{number}; there are examples 0 to {self._size - 1}"
            )
        return positions.astype(np.int32)[None]


def _members(labels: Labels) -> tuple[list[int], list[Int32[np.ndarray, " members"]]]:
    """Returns the classes, sorted, and the positions of the examples of each."""
    classes, inverse = np.unique(np.asarray(labels), return_inverse=True)
    by_class = np.argsort(inverse, kind="stable").astype(np.int32)
    ends = np.cumsum(np.bincount(inverse, minlength=len(classes)))
    return classes.tolist(), np.split(by_class, ends[:-1])
