"""FCN-8s on the Oxford-IIIT pets: animal or background for each pixel.

    python -m experiments.train --config=experiments/configs/dense/fcn8s_oxford_iiit_pet.py \
        --workdir=runs/fcn8s

Long et al. 2015, with VGG-16 as the encoder; they start from its weights for ImageNet
(docs/transfer.md), and this recipe needs them: --config.model.weights. The rates are those of fine
tuning, section 4.3: SGD with momentum 0.9 and a decay of 5e-4. Masks come with the photographs, and
the animals' outlines do not count. Not measured here.
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.model.name = "fcn8s"
    config.data.name = "oxford_iiit_pet"
    config.data.batch_size = 16
    config.data.resize = 256
    config.data.crop = 224
    config.data.crop_areas = (0.25, 1.0)
    config.data.augmentation = "flip"
    config.task = recipes.task_section("segmentation")
    config.optimizer.name = "sgd"
    config.optimizer.learning_rate = 1e-3
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 5e-4
    config.schedule.name = "cosine"
    config.epochs = 20
    return config
