"""Configurations of runs, and the runs that are made from them."""

from cnnjax.recipes.blueprint import Blueprint, make_blueprint
from cnnjax.recipes.config import (
    default_config,
    known_keys,
    nearest_key,
    optional_keys,
    parse_config,
    task_section,
)
from cnnjax.recipes.make_run import load_evaluated, make_run
from cnnjax.recipes.schema import RunConfig
from cnnjax.recipes.without_examples import check_blueprint

__all__ = [
    "Blueprint",
    "RunConfig",
    "check_blueprint",
    "default_config",
    "known_keys",
    "load_evaluated",
    "make_blueprint",
    "make_run",
    "nearest_key",
    "optional_keys",
    "parse_config",
    "task_section",
]
