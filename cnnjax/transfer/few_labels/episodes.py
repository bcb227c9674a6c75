"""Few-shot episodes over embeddings: accuracy of the nearest class mean, with its interval."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int, Num

from cnnjax import data
from cnnjax.extras import installed_with

Rows = Float[np.ndarray, "examples values"]
Labels = Int[np.ndarray, " examples"]


class EpisodeScore(NamedTuple):
    """The accuracy over many episodes.

    Attributes:
        accuracy: mean of the episodes' accuracies.
        half: half the length of its 95 % interval, by Student's t over the episodes.
        episodes: how many there were.
        loss: mean of minus the log-softmax of minus the squared distances to the prototypes, in
            nats: the loss of `PrototypicalNets`.
    """

    accuracy: float
    half: float
    episodes: int
    loss: float


def score_episodes(
    embeddings: Num[np.ndarray, "examples values"],
    labels: Labels,
    form: data.Episodes,
    episodes: int = 600,
    seed: int = 0,
) -> EpisodeScore:
    """Returns how often the nearest class mean is the right one, over random episodes.

    Each episode draws `ways` classes, and of each class `shots` examples, whose mean is the class's
    prototype, and `queries` further ones, which get the class of the nearest prototype. The same
    seed draws the same episodes for the same labels, so that embeddings are compared on equal
    episodes. An embedding that is not finite has no nearest prototype, and counts as wrong.

    Args:
        embeddings: a row for each example.
        labels: the class of each example.
        form: of an episode.
        episodes: number of episodes, two or more.
        seed: draws them.

    Raises:
        ValueError: there are too few classes, examples or episodes.

    Source: Snell et al., 2017, "Prototypical networks for few-shot learning", section 3.1, whose
        intervals are over 600 to 1,000 episodes.

    Example:
        >>> import numpy as np
        >>> from cnnjax import data
        >>> labels = np.arange(40) % 4
        >>> rows = labels[:, None] + np.zeros((40, 2))
        >>> score = score_episodes(rows, labels, data.Episodes(3, shots=2, queries=4), episodes=10)
        >>> score.accuracy, score.half, score.episodes
        (1.0, 0.0, 10)
    """
    if isinstance(episodes, bool) or not isinstance(episodes, int) or episodes < 2:
        raise ValueError(
            f"episodes: {episodes!r} was given; give 2 or more, since the interval comes from "
            "their spread"
        )
    with installed_with("train"):
        from scipy import special
    rows = np.asarray(embeddings, np.float64)
    # Distances stay as they are, and their products below lose fewer digits.
    rows = rows - rows.mean(axis=0)
    drawn = _positions(np.asarray(labels), form, episodes, seed)
    scored = np.array([_accuracy_and_loss(rows[positions], form) for positions in drawn])
    scores, losses = scored.T
    half = float(special.stdtrit(episodes - 1, 0.975)) * scores.std(ddof=1) / math.sqrt(episodes)
    return EpisodeScore(float(scores.mean()), float(half), episodes, float(losses.mean()))


def _positions(
    labels: Labels, form: data.Episodes, episodes: int, seed: int
) -> Iterator[Int[np.ndarray, " batch"]]:
    """Yields the positions of each episode: the support class by class, then the queries."""
    order = data.EpisodeOrder(jax.random.key(seed), labels, form.ways, form.shots, form.queries)
    for start in range(0, episodes, order.block_steps):
        yield from order.block(start // order.block_steps)[: episodes - start]


def _accuracy_and_loss(rows: Rows, form: data.Episodes) -> tuple[float, float]:
    support, queries = np.split(rows, [form.ways * form.shots])
    prototypes = support.reshape(form.ways, form.shots, -1).mean(axis=1)
    # In float64 the expanded square has enough digits. `einsum` starts no threads, which a product
    # so small would wait for.
    squares = (np.square(part).sum(axis=1) for part in (queries, prototypes))
    distances = np.add.outer(*squares) - 2 * np.einsum("qv,pv->qp", queries, prototypes)
    # Of distances that are not numbers, `argmin` would return the first.
    nearest = np.where(np.isfinite(distances).all(axis=1), distances.argmin(axis=1), -1)
    right = np.repeat(np.arange(form.ways), form.queries)
    # The smallest distance is subtracted, so that no exponential overflows.
    scores = distances.min(axis=1, keepdims=True) - distances
    own = scores[np.arange(len(right)), right]
    losses = np.log(np.exp(scores).sum(axis=1)) - own
    return float((nearest == right).mean()), float(losses.mean())
