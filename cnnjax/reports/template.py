"""The pages' templates, and the writing of a page."""

import functools
from typing import TYPE_CHECKING, Any

from cnnjax import extras
from cnnjax.reports.formats import breakable

if TYPE_CHECKING:
    import jinja2


def check_installed() -> None:
    """Checks that the packages that pages are made with are installed.

    Raises:
        MissingPackage: a package of the extra `[report]` is missing.
    """
    extras.check_installed("report", "igraph", "jinja2", "matplotlib", "PIL", "scipy", "sklearn")


def fill(template: str, **values: Any) -> str:
    """Returns a template's text with values in it; all that it uses must be given.

    Args:
        template: the name of a file in `templates`.
        **values: the template's variables.
    """
    return _environment().get_template(template).render(**values)


# It keeps the templates that it has compiled.
@functools.cache
def _environment() -> "jinja2.Environment":
    with extras.installed_with("report"):
        import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cnnjax.reports"),
        # Names of files and classes must not become HTML.
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        # A misspelled name is an error, instead of an empty place on the page.
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["breakable"] = breakable
    return environment
