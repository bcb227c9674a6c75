"""The one-line language of policies: calls of augmentations, in order; a bare name is a call."""

import ast
import inspect
import io
import tokenize

from cnnjax.data.augment.mix import Mix
from cnnjax.data.augment.own_augmentations import OwnTransform
from cnnjax.data.augment.registry import AUGMENTATIONS, Maker
from cnnjax.data.augment.transform import Transform

_EXAMPLE = '"crop(4), flip"'

_COLON = ".__colon__."
"""Replaces the colon of a path, so that the text parses as Python."""


def parse_calls(policy: str) -> list[Transform | Mix]:
    """Returns the augmentations that a text such as "crop(4), my_module:invert(0.5)" names.

    Args:
        policy: the text.

    Raises:
        ValueError: the text is not such a list, or a name or argument in it is unknown.
    """
    return [_make(call, policy) for call in _calls(policy)]


def call_names(policy: str) -> list[str]:
    """Returns the names and paths that the text of a policy calls.

    Args:
        policy: the text.

    Raises:
        ValueError: the text is not a list of calls.
    """
    return [_text(call.func if isinstance(call, ast.Call) else call) for call in _calls(policy)]


def _calls(policy: str) -> list[ast.expr]:
    try:
        calls = ast.parse(_replace_colons(f"[{policy}]"), mode="eval").body
        if not isinstance(calls, ast.List):
            raise SyntaxError
    except (SyntaxError, tokenize.TokenError):
        raise ValueError(
            f"augmentation: {policy!r} is not a list of calls; write e.g. {_EXAMPLE}"
        ) from None
    return calls.elts


def _replace_colons(source: str) -> str:
    """Replaces the colons of paths: those in the outermost bracket, outside of strings."""
    lines, depth, colons = source.splitlines(keepends=True), 0, []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.OP:
            depth += (token.string in "([{") - (token.string in ")]}")
            # Depth 1 is the bracket around the list; colons of dictionaries are deeper.
            if token.string == ":" and depth == 1:
                colons.append(token.start)
    # From the last colon to the first, so that the columns of those before it stay right.
    for row, column in reversed(colons):
        line = lines[row - 1]
        lines[row - 1] = line[:column] + _COLON + line[column + 1 :]
    return "".join(lines)


def _text(node: ast.expr) -> str:
    return ast.unparse(node).replace(_COLON, ":")


def _make(call: ast.expr, policy: str) -> Transform | Mix:
    if not isinstance(call, ast.Call):
        call = ast.Call(call, [], [])
    name = _text(call.func)
    if not (isinstance(call.func, ast.Name) or (_COLON in ast.unparse(call.func))):
        shown = _text(call) if call.args or call.keywords else name
        raise ValueError(
            f"augmentation: {shown!r} in {policy!r} is not a call; write e.g. {_EXAMPLE}, and "
            "your own by its path: my_package.module:name"
        )
    maker = AUGMENTATIONS.get(name)
    form = _form(name, maker)
    try:
        # Only literals, so that the text of a policy cannot run code.
        positional = [ast.literal_eval(value) for value in call.args]
        named = {keyword.arg or "**": ast.literal_eval(keyword.value) for keyword in call.keywords}
        # Bound first, so that wrong arguments are reported before any code of the maker runs.
        form.bind(*positional, **named)
        made = maker(*positional, **named)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"augmentation: {_text(call)!r} cannot be made: {error}; its form is {name}{form}"
        ) from error
    if isinstance(made, Transform | Mix):
        return made
    if not callable(made):
        raise ValueError(
            f"augmentation: {_text(call)!r} made {made!r}; {name} has to return an augmentation, a "
            "function (key, example) -> example"
        )
    return OwnTransform(made, _text(call))


def _form(name: str, maker: Maker) -> inspect.Signature:
    try:
        form = inspect.signature(maker)
    except (TypeError, ValueError):
        raise ValueError(
            f"augmentation: {name!r} is a {type(maker).__name__}; give a function that returns an "
            "augmentation"
        ) from None
    return form.replace(return_annotation=inspect.Signature.empty)
