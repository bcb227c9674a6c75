r"""LeNet-5 in today's form on MNIST.

    python -m experiments.train --config=experiments/configs/lenet5_mnist.py \
        --workdir=runs/lenet5_mnist

Images are padded to 32x32, as LeCun et al. 1998, section II.B, have them; in training they are
turned by up to 10 degrees, scaled by up to a tenth and moved by up to two pixels. Adam, the cosine
schedule and label smoothing are today's; for the recipe of 1998 see `lenet5_1998_mnist.py`. What
was chosen on what, and the result: `docs/results/mnist.md`.
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.model.name = "lenet5"
    config.data.name = "mnist"
    config.data.pad = 2
    config.data.augmentation = "affine(10, (0.9, 1.1), 2)"
    config.data.batch_size = 128
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 4e-3
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 1.0
    config.task.label_smoothing = 0.1
    config.epochs = 30
    return config
