"""Pictures of a page back as arrays."""

import base64
import io

import numpy as np
from PIL import Image


def decoded(uri, mode="RGB"):
    """The pixels of a data URI, uint8."""
    head, data = uri.split(",", 1)
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert(mode))
