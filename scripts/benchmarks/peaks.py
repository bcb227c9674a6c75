"""The peak speed of accelerators, as their makers state it."""

# NVIDIA's data sheets of the A100, H100 and H200: dense products, in FLOP/s. A device is known by
# the longest of these prefixes of the driver's name for it.
_PEAKS = {
    "NVIDIA A100": {"bfloat16": 312e12, "tf32": 156e12, "float32": 19.5e12},
    "NVIDIA H100 80GB HBM3": {"bfloat16": 989.4e12, "tf32": 494.7e12, "float32": 66.9e12},
    "NVIDIA H100 PCIe": {"bfloat16": 756e12, "tf32": 378e12, "float32": 51.2e12},
    "NVIDIA H200": {"bfloat16": 989.4e12, "tf32": 494.7e12, "float32": 66.9e12},
}


def peak_flops(device_kind: str, arithmetic: str) -> float | None:
    """Returns the peak of matrix products in FLOP/s, two for a multiply-add; None if not known.

    Args:
        device_kind: the device's name, as JAX gives it.
        arithmetic: "bfloat16", "tf32" or "float32".
    """
    known = [name for name in _PEAKS if device_kind.startswith(name)]
    return _PEAKS[max(known, key=len)].get(arithmetic) if known else None
