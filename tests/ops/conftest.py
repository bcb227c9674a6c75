from tests.helpers.fixtures import optimized

__all__ = ["optimized"]
