"""Domains of images: made by transforms, adapted to, generalized over; and novel classes."""

from cnnjax.transfer.domains.adversarial_net import AdversarialNet, DomainHead
from cnnjax.transfer.domains.base_to_novel import (
    ClassSplit,
    nearest_means,
    ridge_classes,
)
from cnnjax.transfer.domains.dann import UNLABELED, DomainAdversarial, annealed_rate
from cnnjax.transfer.domains.groups import GroupClassification, GroupDRO
from cnnjax.transfer.domains.joined import (
    DOMAIN,
    ROTATED_MNIST,
    LeftOut,
    disjoint_parts,
    join_domains,
    leave_one_out,
    rotated_domains,
)
from cnnjax.transfer.domains.novel_sets import NovelSets, novel_sets
from cnnjax.transfer.domains.photographs import Blended, photographs
from cnnjax.transfer.domains.resampling import Blurred, Resized, Rotated
from cnnjax.transfer.domains.shift import ShiftedExamples, shift
from cnnjax.transfer.domains.transforms import RGB, Colored, Inverted, Noisy, Transform

__all__ = [
    "DOMAIN",
    "RGB",
    "ROTATED_MNIST",
    "UNLABELED",
    "AdversarialNet",
    "Blended",
    "Blurred",
    "ClassSplit",
    "Colored",
    "DomainAdversarial",
    "DomainHead",
    "GroupClassification",
    "GroupDRO",
    "Inverted",
    "LeftOut",
    "Noisy",
    "NovelSets",
    "Resized",
    "Rotated",
    "ShiftedExamples",
    "Transform",
    "annealed_rate",
    "disjoint_parts",
    "join_domains",
    "leave_one_out",
    "nearest_means",
    "novel_sets",
    "photographs",
    "ridge_classes",
    "rotated_domains",
    "shift",
]
