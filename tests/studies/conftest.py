import pytest

from tests.helpers.fixtures import standard_promotion

__all__ = ["standard_promotion"]


@pytest.fixture
def claims(tmp_path):
    """The claims of an empty folder."""
    from cnnjax.studies.claims import Claims

    return Claims(tmp_path / "claims")
