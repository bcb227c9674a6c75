"""Tasks: each gives a loss, metric sums that add up exactly, and a report."""

from cnnjax.tasks.base import Task, weighted_sums
from cnnjax.tasks.class_tree import ClassTree, read_class_tree
from cnnjax.tasks.classification import Classification
from cnnjax.tasks.registry import TASKS, register_task
from cnnjax.tasks.values import Answer, Evaluation, Moment, Score, TaskError

__all__ = [
    "TASKS",
    "Answer",
    "ClassTree",
    "Classification",
    "Evaluation",
    "Moment",
    "Score",
    "Task",
    "TaskError",
    "read_class_tree",
    "register_task",
    "weighted_sums",
]
