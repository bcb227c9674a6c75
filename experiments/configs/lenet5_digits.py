"""LeNet-5 on the 1,797 embedded digits: the run that `scripts/quickstart.sh` starts.

    python -m experiments.train --config=experiments/configs/lenet5_digits.py --workdir=runs/digits

The 8x8 digits are enlarged to 28x28 and padded to the 32x32 that LeNet-5 sees (LeCun et al. 1998,
section II.B), and shifted by up to two pixels in training.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = ConfigDict()
    config.model = ConfigDict({"name": "lenet5"})
    config.data = ConfigDict(
        {
            "name": "digits",
            "batch_size": 128,
            "resize": 28,
            "pad": 2,
            "augmentation": "shift(2)",
            "validation_examples": 0,
        }
    )
    config.optimizer = ConfigDict(
        {
            "name": "sgd",
            "learning_rate": 0.1,
            "momentum": 0.9,
            "nesterov": True,
            "weight_decay": 1e-4,
        }
    )
    config.schedule = ConfigDict({"name": "cosine", "warmup_epochs": 2.0, "final_factor": 0.0})
    config.label_smoothing = 0.0
    config.epochs = 60
    config.seed = 0
    return config
