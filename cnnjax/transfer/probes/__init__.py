"""Probes: what simple models read from the features of a trained network."""

from cnnjax.transfer.probes.features import POOLINGS, layer_features
from cnnjax.transfer.probes.linear import LinearProbe, fit_linear_probe
from cnnjax.transfer.probes.mlp import MLP, MLPProbe, fit_mlp_probe
from cnnjax.transfer.probes.of_run import RunProbe, probe_run

__all__ = [
    "MLP",
    "POOLINGS",
    "LinearProbe",
    "MLPProbe",
    "RunProbe",
    "fit_linear_probe",
    "fit_mlp_probe",
    "layer_features",
    "probe_run",
]
