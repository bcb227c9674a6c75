from contextlib import contextmanager

import pytest

from cnnjax.data.prepare import scene_sets


@contextmanager
def few_scenes(train: int = 24, test: int = 12):
    """Sets of digit scenes have so few of them that they are prepared at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene_sets, "SPLIT_SIZES", {"train": train, "test": test})
        yield
