"""A study of tiny runs for tests: LeNet-5 at two rates and two batch sizes, three seeds."""

from cnnjax import studies, training
from tests.helpers.tiny_run import TINY

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
        question="Does LeNet-5 learn faster at a higher rate?",
        base=TINY,
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
