"""Studies of tiny runs for tests: of LeNet-5, and of a network that compiles in no time."""

from cnnjax import studies, training
from tests.helpers.tiny_run import TINY

FOUR = {
    "model": {"name": "tests.studies.tiny_net:TinyNet"},
    # 128 examples to train on; the others are evaluated.
    "data": {"batch_size": 64, "validation_examples": 1309},
    "optimizer": {"name": "adam"},
    "epochs": 2,
}

SCALES = {"twelve": "2 rates x 2 batch sizes x 3 seeds", "four": "2 rates x 2 seeds"}


def get_study(scale):
    rates = studies.Factor(
        "rate",
        {"low": {"optimizer.learning_rate": 1e-5}, "high": {"optimizer.learning_rate": 3e-3}},
    )
    sizes = studies.Factor("batch", {32: {"data.batch_size": 32}, 64: {}})
    compared = studies.Comparison(
        "a low rate over a high one", "loss", {"rate": "low"}, {"rate": "high"}, at_least=0.1
    )
    return studies.Study(
        question="Does a network learn faster at a higher rate?",
        base=TINY if scale == "twelve" else FOUR,
        factors=[rates, sizes] if scale == "twelve" else [rates],
        seeds=(0, 1, 2) if scale == "twelve" else (0, 1),
        outcomes=[
            studies.Outcome("loss", studies.metric("loss"), "nats"),
            studies.Outcome("training_error", studies.training_error, "%"),
            studies.Outcome("gradient_norms", studies.gradient_norms, help="by layer"),
        ],
        rule=studies.Rule(claim="a high rate has the lower loss", primary=compared),
        cadence=training.Cadence(log_every=1),
    )
