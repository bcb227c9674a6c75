"""Transfer learning, and learning with few labels."""

from cnnjax.transfer.equal_steps import balanced_positions, repeat_examples
from cnnjax.transfer.interpolation import interpolate, renew_statistics
from cnnjax.transfer.probes import (
    POOLINGS,
    LinearProbe,
    MLPProbe,
    RunProbe,
    fit_linear_probe,
    fit_mlp_probe,
    layer_features,
    probe_run,
)
from cnnjax.transfer.reinitialize import reinitialize
from cnnjax.transfer.scaling import PowerLaw, fit_power_law

__all__ = [
    "POOLINGS",
    "LinearProbe",
    "MLPProbe",
    "PowerLaw",
    "RunProbe",
    "balanced_positions",
    "fit_linear_probe",
    "fit_mlp_probe",
    "fit_power_law",
    "interpolate",
    "layer_features",
    "probe_run",
    "reinitialize",
    "renew_statistics",
    "repeat_examples",
]
