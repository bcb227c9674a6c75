import itertools

import numpy as np
import pytest

from cnnjax import search
from cnnjax.search.strategies.reinforce import Policy
from cnnjax.search.strategies.strategy import propose_at

SPACE = search.CellSpace(
    ("conv_3x3", "separable_3x3", "max_3x3", "identity"), nodes=2, inputs=1, reduction=False
)
STRATEGIES = [
    search.RandomSearch(),
    search.Evolution(population=5, sample=2),
    search.Evolution(population=5, sample=3, crossover=0.5, objective="pareto"),
    search.Reinforce(),
]


def value(number, genome):
    """Returns a made-up evaluation: convolutions are good and dear."""
    convolutions = sum(e.operation == "conv_3x3" for node in genome.normal for e in node)
    return search.Evaluated(number, genome, 0.8 + 0.04 * convolutions, 100 + 50 * convolutions)


def search_with(strategy, seed=0, evaluations=40, ahead=1):
    return search.search_in_memory(strategy, SPACE, value, evaluations, seed=seed, ahead=ahead)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_same_seed_same_history(strategy):
    first = search_with(strategy)
    assert first == search_with(strategy)
    assert first != search_with(strategy, seed=1)
    for evaluated in first:
        SPACE.check(evaluated.genome)


@pytest.mark.parametrize("ahead", [1, 3])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_a_proposal_depends_on_what_is_waited_for_alone(strategy, ahead):
    history = search_with(strategy, ahead=ahead)
    for number in (0, 4, 7, 8, 20):
        known = history[: max(0, number + 1 - ahead)]
        proposed = propose_at(strategy, SPACE, known, number, seed=0, ahead=ahead)
        assert proposed == history[number].genome


def distance(first, other):
    return sum(a != b for a, b in zip(SPACE.encode(first), SPACE.encode(other), strict=True))


def test_children_are_mutants_of_the_population_and_the_oldest_dies():
    history = search_with(search.Evolution(population=5, sample=5))
    for number in range(5, 40):
        alive = history[number - 5 : number]
        # The sample is the whole population: the parent is its best, the first of equal ones drawn.
        best = max(cell.score for cell in alive)
        parents = [cell.genome for cell in alive if cell.score == best]
        assert any(distance(history[number].genome, parent) == 1 for parent in parents)


def test_a_lucky_old_cell_is_forgotten():
    def lucky_first(number, genome):
        return search.Evaluated(number, genome, 1.0 if number == 0 else 0.5)

    strategy = search.Evolution(population=4, sample=4)
    history = search.search_in_memory(strategy, SPACE, lucky_first, 12)
    proposer = strategy.start(SPACE)
    for evaluated in history[:4]:
        proposer.observe(evaluated)
    child = proposer.propose(np.random.default_rng(0))
    assert distance(child, history[0].genome) == 1
    proposer.observe(history[4])
    others = [proposer.propose(np.random.default_rng(n)) for n in range(20)]
    alive = [cell.genome for cell in history[1:5]]
    assert all(min(distance(child, parent) for parent in alive) == 1 for child in others)


def test_the_pareto_objective_keeps_cheap_cells():
    score = search_with(search.Evolution(population=10, sample=5), evaluations=300)
    pareto = search_with(
        search.Evolution(population=10, sample=5, objective="pareto"), evaluations=300
    )
    cheap = [sum(c.multiply_adds == 100 for c in history[100:]) for history in (score, pareto)]
    assert cheap[0] < cheap[1]
    assert max(c.multiply_adds for c in pareto[100:]) == 300


def test_evolution_and_reinforce_find_what_random_search_does_not():
    def mean_of_last(strategy):
        runs = [search_with(strategy, seed=seed, evaluations=150) for seed in range(5)]
        return np.mean([cell.score for run in runs for cell in run[-30:]])

    drawn = mean_of_last(search.RandomSearch())
    # A fourth of the edges of random cells are convolutions.
    assert drawn == pytest.approx(0.84, abs=0.01)
    assert mean_of_last(search.Evolution()) > drawn + 0.05
    assert mean_of_last(search.Reinforce()) > drawn + 0.05


def log_probability(logits, decisions):
    return sum(
        row[d] - np.log(np.exp(row[np.isfinite(row)]).sum())
        for row, d in zip(logits, decisions, strict=True)
    )


def test_the_policy_follows_its_gradient():
    policy = Policy(search.Reinforce(learning_rate=1.0, decay=0.5), SPACE)
    random = np.random.default_rng(0)
    for number, score in enumerate((0.5, 0.7)):
        policy.observe(search.Evaluated(number, SPACE.draw(random), score))
    before = policy._logits.copy()
    genome = SPACE.draw(random)
    # Means are 0.5 and then 0.6; the variance after the second is 0.5 (0 + 0.5 * 0.2²).
    reward = (0.9 - 0.6) / np.sqrt(0.01)
    policy.observe(search.Evaluated(2, genome, 0.9))
    step = 1e-6
    for row, options in enumerate(SPACE.choices):
        for option in range(options):
            moved = before.copy()
            moved[row, option] += step
            high = log_probability(moved, SPACE.encode(genome))
            moved[row, option] -= 2 * step
            slope = (high - log_probability(moved, SPACE.encode(genome))) / (2 * step)
            change = policy._logits[row, option] - before[row, option]
            assert change == pytest.approx(reward * slope, abs=1e-6)
    np.testing.assert_allclose(policy.probabilities.sum(axis=1), 1)


def test_a_policy_draws_by_its_probabilities():
    policy = Policy(search.Reinforce(), SPACE)
    policy._logits[1] = np.log([0.7, 0.1, 0.1, 0.1]).tolist() + [-np.inf] * (
        policy._logits.shape[1] - 4
    )
    random = np.random.default_rng(0)
    drawn = [SPACE.encode(policy.propose(random))[1] for _ in range(2000)]
    assert np.bincount(drawn, minlength=4) / 2000 == pytest.approx([0.7, 0.1, 0.1, 0.1], abs=0.05)


def test_the_front_is_what_is_not_dominated():
    genome = search.parse_genome("normal: identity(0)")
    random = np.random.default_rng(0)
    for _ in range(20):
        pairs = random.integers(0, 6, (12, 2))
        cells = [search.Evaluated(n, genome, s / 10, int(m)) for n, (s, m) in enumerate(pairs)]
        expected = set()
        for one, other in itertools.product(cells, cells):
            better = other.score >= one.score and other.multiply_adds <= one.multiply_adds
            if better and (other.score, other.multiply_adds) != (one.score, one.multiply_adds):
                expected.add((one.score, one.multiply_adds))
        expected = {(c.score, c.multiply_adds) for c in cells} - expected
        front = search.pareto_front(cells)
        assert [(c.score, c.multiply_adds) for c in front] == sorted(expected)
        assert search.pareto_front([]) == []


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: search.Evolution(population=0), "evolution.population: 0"),
        (lambda: search.Evolution(sample=30), "cannot be drawn from a population of 20"),
        (lambda: search.Evolution(crossover=1.5), "from 0 to 1"),
        (lambda: search.Evolution(objective="speed"), "'score' or 'pareto'"),  # pyright: ignore
        (lambda: search.Reinforce(learning_rate=0), "more than 0"),
        (lambda: search.Reinforce(decay=1.0), "below 1"),
        (lambda: search_with(search.Evolution(), evaluations=20), "do not go beyond"),
        (lambda: search_with(search.RandomSearch(), evaluations=0), "from 1 on"),
    ],
)
def test_impossible_settings_are_refused(make, problem):
    with pytest.raises(search.SearchError, match=problem):
        make()
