"""Which part of the image an array's elements depend on, followed through single operations.

Along one axis of the image, element (i_0, i_1, ...) of an array depends on the pixels

    sum_a coefficient[a] * i_a + [low, high]

The coefficients are the effective strides, high - low + 1 is the receptive field and -low the
effective padding (Araujo, Norris and Sim, 2019, sections 2 and 3). Where the dependence is not of
this form, the interval is widened until it is, so that it always holds the true one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction


@dataclass(frozen=True)
class Reach:
    """The dependence of an array on one axis of the image.

    Attributes:
        shape: the array's shape.
        coefficients: for each axis of the array, how many pixels one step moves.
        low, high: first and last pixel that element (0, 0, ...) depends on; padding is negative.
    """

    shape: tuple[int, ...]
    coefficients: tuple[Fraction, ...]
    low: Fraction
    high: Fraction

    @classmethod
    def of_image(cls, shape: Sequence[int], axis: int) -> "Reach":
        """Returns the dependence of the image itself: element i of `axis` is pixel i.

        Args:
            shape: the image's shape.
            axis: the axis whose pixels are followed.
        """
        coefficients = tuple(Fraction(int(a == axis)) for a in range(len(shape)))
        return cls(tuple(shape), coefficients, Fraction(0), Fraction(0))

    @property
    def size(self) -> int:
        """The number of pixels that one element depends on, at most."""
        # Only whole positions are pixels; after a transposed convolution the ends may lie between
        # them.
        return math.floor(self.high) - math.ceil(self.low) + 1

    @property
    def stride(self) -> Fraction | None:
        """Pixels between neighbors; 0 if all elements see the same, None if it varies."""
        moving = [c for c in self.coefficients if c]
        return Fraction(0) if not moving else moving[0] if len(moving) == 1 else None

    def widened(self, axes: Sequence[int]) -> "Reach":
        """Returns the dependence in which all elements along some axes depend on all their pixels.

        Args:
            axes: the axes; the union over them is taken.
        """
        spans = [self.coefficients[a] * (self.shape[a] - 1) for a in axes]
        return replace(
            self,
            coefficients=tuple(
                Fraction(0) if a in axes else c for a, c in enumerate(self.coefficients)
            ),
            low=self.low + sum(min(s, 0) for s in spans),
            high=self.high + sum(max(s, 0) for s in spans),
        )

    def everywhere(self, shape: Sequence[int]) -> "Reach":
        """Returns the dependence of an array each of whose elements depends on all of this array.

        Args:
            shape: the new array's shape.
        """
        whole = self.widened(range(len(self.shape)))
        return Reach(tuple(shape), (Fraction(0),) * len(shape), whole.low, whole.high)

    def windowed(
        self,
        axis: int,
        size: int,
        window: int,
        *,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        base_dilation: int = 1,
    ) -> "Reach":
        """Returns the dependence of windows slid along an axis, as in convolution and pooling.

        Args:
            axis: the axis.
            size: the number of windows.
            window: number of taps of a window.
            stride: step between windows.
            padding: elements before the first one; negative to start later.
            dilation: step between the taps of a window.
            base_dilation: elements are first set this far apart, as in transposed convolution.
        """
        step = self.coefficients[axis] / base_dilation
        # The step is negative along a reversed axis, which exchanges the ends.
        ends = (-padding * step, ((window - 1) * dilation - padding) * step)
        coefficients = list(self.coefficients)
        coefficients[axis] = step * stride
        shape = list(self.shape)
        shape[axis] = size
        return Reach(tuple(shape), tuple(coefficients), self.low + min(ends), self.high + max(ends))

    def reversed(self, axis: int) -> "Reach":
        """Returns the dependence with one axis in the opposite order.

        Args:
            axis: the axis.
        """
        coefficients = list(self.coefficients)
        end = coefficients[axis] * (self.shape[axis] - 1)
        coefficients[axis] = -coefficients[axis]
        return replace(
            self, coefficients=tuple(coefficients), low=self.low + end, high=self.high + end
        )

    def selected(self, sources: Sequence[int | None], shape: Sequence[int]) -> "Reach":
        """Returns the dependence with axes dropped, reordered or added.

        Args:
            sources: for each new axis the old one, or None for a new axis.
            shape: the new shape; an axis of 1 that grows is repeated.
        """
        # An element of the result depends on all elements along a dropped axis.
        gone = [a for a in range(len(self.shape)) if a not in sources]
        kept = self.widened(gone)
        coefficients = tuple(
            Fraction(0) if a is None or (self.shape[a] == 1 and size != 1) else kept.coefficients[a]
            for a, size in zip(sources, shape, strict=True)
        )
        return Reach(tuple(shape), coefficients, kept.low, kept.high)

    def reshaped(self, shape: Sequence[int]) -> "Reach":
        """Returns the dependence with axes split and merged, in row-major order.

        Args:
            shape: the new shape, of as many elements.
        """
        reach, coefficients = self, [Fraction(0)] * len(shape)
        for old, new in _groups(self.shape, shape):
            # A group is followed exactly if it is evenly spaced as one axis, and widened if not.
            linear = _as_one_axis([(self.shape[a], self.coefficients[a]) for a in old])
            if linear is None:
                reach = reach.widened(old)
                continue
            step = 1
            for axis in reversed(new):
                coefficients[axis] = linear * step
                step *= shape[axis]
        return Reach(tuple(shape), tuple(coefficients), reach.low, reach.high)


def union(first: Reach, second: Reach) -> Reach:
    """Returns what elements at the same place of two arrays depend on together.

    Args:
        first: the dependence of one array.
        second: that of the other, of the same shape.
    """
    # Along axes of different strides the intervals drift apart, so both are widened.
    apart = [
        a
        for a, (c, d) in enumerate(zip(first.coefficients, second.coefficients, strict=True))
        if c != d and first.shape[a] > 1
    ]
    one, two = first.widened(apart), second.widened(apart)
    return replace(one, low=min(one.low, two.low), high=max(one.high, two.high))


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Returns runs of old and new axes (longer than 1) that contain the same elements."""
    left = [a for a, n in enumerate(old) if n != 1]
    right = [a for a, n in enumerate(new) if n != 1]
    groups = []
    while left and right:
        a, b = [left.pop(0)], [right.pop(0)]
        m, n = old[a[0]], new[b[0]]
        while m != n:
            if m < n:
                a.append(left.pop(0))
                m *= old[a[-1]]
            else:
                b.append(right.pop(0))
                n *= new[b[-1]]
        groups.append((a, b))
    return groups


def _as_one_axis(axes: Sequence[tuple[int, Fraction]]) -> Fraction | None:
    """Returns the coefficient of merged axes (size, coefficient); None if they do not fit."""
    last = axes[-1][1]
    step = 1
    for size, coefficient in reversed(axes):
        if coefficient != last * step:
            return None
        step *= size
    return last
