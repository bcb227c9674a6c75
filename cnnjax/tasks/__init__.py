"""Tasks: each gives a loss, metric sums that add up exactly, and a report."""

from cnnjax.tasks.base import Task, weighted_sums
from cnnjax.tasks.boxes import (
    Detection,
    Localization,
    box_areas,
    box_iou,
    centers_to_corners,
    corners_to_centers,
    pairwise_iou,
    precision_recall,
)
from cnnjax.tasks.class_tree import ClassTree, read_class_tree
from cnnjax.tasks.classification import Classification
from cnnjax.tasks.marked_boxes import MarkedBox
from cnnjax.tasks.registry import TASKS, register_task
from cnnjax.tasks.segmentation import Segmentation
from cnnjax.tasks.values import Answer, Evaluation, Moment, Score, TaskError

__all__ = [
    "TASKS",
    "Answer",
    "ClassTree",
    "Classification",
    "Detection",
    "Evaluation",
    "Localization",
    "MarkedBox",
    "Moment",
    "Score",
    "Segmentation",
    "Task",
    "TaskError",
    "box_areas",
    "box_iou",
    "centers_to_corners",
    "corners_to_centers",
    "pairwise_iou",
    "precision_recall",
    "read_class_tree",
    "register_task",
    "weighted_sums",
]
