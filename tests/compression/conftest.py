from tests.helpers.fixtures import standard_promotion

__all__ = ["standard_promotion"]
