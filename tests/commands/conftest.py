from tests.experiments.conftest import environment

__all__ = ["environment"]
