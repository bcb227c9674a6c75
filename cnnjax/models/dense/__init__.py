"""Networks that give logits for each pixel or boxes, and the encoders that they are built on."""

# Importing a family's file registers its networks.
from cnnjax.models.dense import center_net, dilated_fcn, fcn, localizer, naive, segnet, unet
from cnnjax.models.dense.encoder import Encoder, encoder
from cnnjax.models.dense.encoder_net import EncoderNet
from cnnjax.models.dense.levels import Level, levels_of
from cnnjax.models.dense.pixel_net import PixelNet

__all__ = [
    "Encoder",
    "EncoderNet",
    "Level",
    "PixelNet",
    "center_net",
    "dilated_fcn",
    "encoder",
    "fcn",
    "levels_of",
    "localizer",
    "naive",
    "segnet",
    "unet",
]
