"""Learning with few labels: semi-supervised, few-shot and self-supervised methods as tasks."""

from cnnjax.transfer.few_labels.episodes import EpisodeScore, score_episodes
from cnnjax.transfer.few_labels.feature_encoder import (
    FeatureEncoder,
    ProjectedEncoder,
    embed,
    encoder_variables,
)
from cnnjax.transfer.few_labels.fixmatch import (
    FixMatch,
    consistency,
    fixmatch_streams,
    repeated_stream,
)
from cnnjax.transfer.few_labels.hidden_labels import hide_labels
from cnnjax.transfer.few_labels.nt_xent import nt_xent
from cnnjax.transfer.few_labels.pairs import paired_classes
from cnnjax.transfer.few_labels.prototypes import PrototypicalNets, episode_losses
from cnnjax.transfer.few_labels.rotations import rotated_classes
from cnnjax.transfer.few_labels.simclr import SimCLR, simclr_stream
from cnnjax.transfer.few_labels.splits import (
    LabelSplit,
    choose_classes,
    split_classes,
    split_labels,
)

__all__ = [
    "EpisodeScore",
    "FeatureEncoder",
    "FixMatch",
    "LabelSplit",
    "ProjectedEncoder",
    "PrototypicalNets",
    "SimCLR",
    "choose_classes",
    "consistency",
    "embed",
    "encoder_variables",
    "episode_losses",
    "fixmatch_streams",
    "hide_labels",
    "nt_xent",
    "paired_classes",
    "repeated_stream",
    "rotated_classes",
    "score_episodes",
    "simclr_stream",
    "split_classes",
    "split_labels",
]
