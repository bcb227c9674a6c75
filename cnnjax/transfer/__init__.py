"""Transfer learning, and learning with few labels."""

from cnnjax.transfer.interpolation import interpolate, renew_statistics
from cnnjax.transfer.probes import (
    LinearProbe,
    MLPProbe,
    fit_linear_probe,
    fit_mlp_probe,
    layer_features,
)
from cnnjax.transfer.reinitialize import reinitialize

__all__ = [
    "LinearProbe",
    "MLPProbe",
    "fit_linear_probe",
    "fit_mlp_probe",
    "interpolate",
    "layer_features",
    "reinitialize",
    "renew_statistics",
]
