"""Trained networks, loaded from runs or weights: predictions for images, and evaluation."""

from cnnjax.inference.box_pictures import check_folder, draw_boxes, write_overlays
from cnnjax.inference.columns import columns_of
from cnnjax.inference.diversity import Diversity, compare_members, diversity
from cnnjax.inference.ensemble import Ensemble, load_ensemble
from cnnjax.inference.ensemble_figures import MemberFigures, SizeFigures, member_figures
from cnnjax.inference.files import (
    FilePrediction,
    check_output,
    format_evaluation,
    output_errors,
    predict_files,
    write_evaluation,
    write_predictions,
)
from cnnjax.inference.folding import Folded, folded
from cnnjax.inference.images import ImageForm, check_images, find_images, read_images
from cnnjax.inference.load import load, load_checkpoints
from cnnjax.inference.mask_files import check_mask_folder, write_masks
from cnnjax.inference.network import Network
from cnnjax.inference.task_settings import with_task
from cnnjax.inference.views import Views
from cnnjax.inference.weight_average import (
    average_checkpoints,
    average_weights,
    renew_statistics,
)
from cnnjax.inference.weights import from_weights

__all__ = [
    "Diversity",
    "Ensemble",
    "FilePrediction",
    "Folded",
    "ImageForm",
    "MemberFigures",
    "Network",
    "SizeFigures",
    "Views",
    "average_checkpoints",
    "average_weights",
    "check_folder",
    "check_images",
    "check_mask_folder",
    "check_output",
    "columns_of",
    "compare_members",
    "diversity",
    "draw_boxes",
    "find_images",
    "folded",
    "format_evaluation",
    "from_weights",
    "load",
    "load_checkpoints",
    "load_ensemble",
    "member_figures",
    "output_errors",
    "predict_files",
    "read_images",
    "renew_statistics",
    "with_task",
    "write_evaluation",
    "write_masks",
    "write_overlays",
    "write_predictions",
]
