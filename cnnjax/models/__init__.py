"""Networks: one file per family, and the registry that makes them by name."""

from cnnjax.models import lenet as _lenet  # noqa: F401  (registers its networks)
from cnnjax.models.features import apply_with_features
from cnnjax.models.registry import ModelInfo, create_model, list_models, model_info

__all__ = ["ModelInfo", "apply_with_features", "create_model", "list_models", "model_info"]
