r"""LeNet-5 of 1998 on MNIST, near to its own recipe (LeCun et al. 1998, section III.B).

    python -m experiments.train --config=experiments/configs/lenet5_1998_mnist.py \
        --workdir=runs/lenet5_1998_mnist

From the paper: the network with its RBF outputs and initialization, white at -0.1 and ink at 1.175,
20 passes of stochastic gradient descent without momentum, and a learning rate that falls after
passes 2, 5, 8 and 12, to 2 % in all.

Deviations: the paper's rates are divided by an estimate of each parameter's second derivative
(stochastic diagonal Levenberg-Marquardt), which is left out; its rate falls by factors of 0.4, 0.5,
0.5 and 0.2, here by 0.4 each time; examples come by eights, not one by one; and the criterion is
equation 9 without its rubbish class: softmax cross-entropy of minus the penalties.
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.model.name = "lenet5_1998"
    config.data.name = "mnist"
    config.data.pad = 2
    config.data.normalization = "model"
    config.data.batch_size = 8
    config.optimizer.name = "sgd"
    config.optimizer.learning_rate = 0.002
    config.optimizer.momentum = 0.0
    config.schedule.name = "step"
    config.schedule.boundaries = (2.0, 5.0, 8.0, 12.0)
    config.schedule.factor = 0.4
    config.epochs = 20
    return config
