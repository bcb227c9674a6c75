"""A search whose cells are whole training runs, in folders of their own."""

import numpy as np
import optax
import pytest

from cnnjax import data, search, tasks, training
from cnnjax.search.loop.worker import CellOptions


def examples(count, seed):
    """Returns images with a bright row or a bright column."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    images = random.integers(0, 50, (count, 4, 4, 1))
    images[labels == 0, 1] += 200
    images[labels == 1, :, 1] += 200
    return data.from_arrays(image=images.astype(np.uint8), label=labels.astype(np.int32))


def make_run(net, seed, test_seed=1):
    """Returns a run of eight epochs."""
    return training.Run(
        model=net,
        task=tasks.Classification(class_names=("row", "column")),
        train=examples(64, 0),
        test=examples(32, test_seed),
        optimizer=optax.sgd(0.1, momentum=0.9),
        epochs=8,
        batch_size=16,
        seed=seed,
    )


def make_final_run(net, seed):
    """Returns the same run with other examples to evaluate."""
    return make_run(net, seed, test_seed=2)


@pytest.mark.slow
def test_cells_are_runs_in_folders(tmp_path):
    made = search.CellSearch(
        space=search.CellSpace(("conv_3x3", "identity"), nodes=1, inputs=1, reduction=False),
        evaluator=search.RunEvaluator(make_run, make_final_run),
        input_size=(4, 4, 1),
        num_classes=2,
        network={"stages": 1, "width": 4},
        strategy=search.RandomSearch(),
        evaluations=2,
        final_seeds=(3,),
    )
    found = search.run_cell_search(made, tmp_path, options=CellOptions(poll_seconds=0.05))
    assert len(found.history) == 2
    assert all(each.score > 0.6 for each in found.history)
    assert found.tested[3]["accuracy"] > 0.6
    folders = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert folders == ["cell-00000", "cell-00001", "final-seed-3"]
    metrics = training.read_metrics(tmp_path / "runs" / "cell-00001")
    assert metrics[-1]["accuracy"] == pytest.approx(found.history[1].score)
