"""What the plain baselines of the benchmarks are compiled with."""

PLAIN_OPTION = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""Keeps XLA's CPU compiler from handing convolutions to YNNPACK; versions that do not know it raise
an error."""
