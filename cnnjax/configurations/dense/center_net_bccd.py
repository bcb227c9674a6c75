r"""A center network on photographs of blood: red and white cells, and platelets.

    python -m experiments.train --config=experiments/configs/dense/center_net_bccd.py \
        --config.data.name=voc:144x192:BCCD_Dataset/BCCD --workdir=runs/center_net_bccd

BCCD (https://github.com/Shenggan/BCCD_Dataset, MIT) has 364 photographs of 640x480 pixels with
boxes in PASCAL VOC's form; a clone of it is read as it lies, shrunk to 192x144. 292 photographs
of its list `trainval` are trained on, the 72 of its list `test` are evaluated. The backbone starts
at random; with the filters of `simple_cnn_cifar10`, add
--config.model.weights=runs/simple_cnn_cifar10 --config.model.part=encoder.
"""

from ml_collections import ConfigDict

from cnnjax import recipes
from cnnjax.configurations.dense.simple_cnn_cifar10 import STAGES


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.model.name = "center_net"
    config.model.overrides = {
        "encoder": "simple_cnn",
        "encoder_fields": STAGES,
        "width": 32,
    }
    config.data.name = "voc:144x192:BCCD_Dataset/BCCD"
    config.data.augmentation = "flip, crop(16), color_jitter(0.2, 0.2)"
    config.data.batch_size = 16
    config.task.name = "detection"
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 2e-3
    config.schedule.name = "onecycle"
    config.epochs = 60
    return config
