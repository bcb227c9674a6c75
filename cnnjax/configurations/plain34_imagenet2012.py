r"""The plain network of 34 layers on ImageNet, by ResNet's recipe (He et al. 2015, section 4.1).

    python -m experiments.train --config=experiments/configs/plain34_imagenet2012.py \
        --workdir=runs/plain34_imagenet2012

What the residual networks are compared with; the recipe and its deviation are those of
`resnet50_imagenet2012.py`.
"""

from ml_collections import ConfigDict

from cnnjax.configurations import resnet50_imagenet2012


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = resnet50_imagenet2012.get_config()
    config.model.name = "plain34"
    config.model.overrides = {}
    return config
