r"""Fine-tuning of published weights on a folder of photographs.

    python -m experiments.train --config=experiments/configs/finetune_folder.py \
        --config.data.name=folder:photographs --workdir=runs/photographs

The folder holds CLASS/IMAGE, or train/CLASS/IMAGE and test/CLASS/IMAGE. ResNet-18 starts from its
weights of ImageNet, which are downloaded; for other weights give --config.model.weights, a
safetensors file or the folder of a run, with --config.model.name.

The new classifier is trained alone for two epochs, so that its first, random gradients do not
disturb the features; then all layers are, each at 0.75 of the rate of the next (Clark et al. 2020).
AdamW with label smoothing suits a few hundred photographs or more; for fewer, keep the features
frozen with --config.optimizer.frozen='[["classifier/.*", false], [".*", true]]' and
--config.optimizer.unfreeze=().
"""

from ml_collections import ConfigDict

from cnnjax import recipes


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = recipes.default_config()
    config.model.name = "resnet18"
    config.model.weights = "hub:resnet18"
    # Also where the number of classes is the same by chance.
    config.model.fresh = ("classifier/.*",)
    config.data.name = "folder:photographs"
    config.data.resize = 256
    config.data.crop = 224
    config.data.crop_areas = (0.25, 1.0)
    config.data.normalization = "model"
    config.data.augmentation = "flip, color_jitter(0.2, 0.2, 0.2)"
    config.data.batch_size = 32
    config.task.label_smoothing = 0.1
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 1e-3
    config.optimizer.weight_decay = 0.05
    config.optimizer.layer_decay = 0.75
    config.optimizer.unfreeze = (("classifier/.*", 0), (".*", 2))
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 1.0
    config.epochs = 12
    return config
