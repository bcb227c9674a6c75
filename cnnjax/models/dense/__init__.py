"""Networks that give logits for each pixel, and the encoders that they are built on."""

from cnnjax.models.dense.encoder import Encoder, encoder
from cnnjax.models.dense.levels import Level, levels_of

__all__ = ["Encoder", "Level", "encoder", "levels_of"]
