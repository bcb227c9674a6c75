import inspect

import pytest

from cnnjax.recipes.signatures import check_options, keyword_defaults


def rule(learning_rate, share, *, power=2):
    return learning_rate, share, power


def test_arguments_have_their_defaults_without_those_given_by_place():
    assert keyword_defaults(rule, positional=1) == {"share": inspect.Parameter.empty, "power": 2}
    assert keyword_defaults(lambda rate, **options: rate, positional=1) is None


def test_a_value_that_is_no_function_has_no_arguments():
    with pytest.raises(TypeError, match="not a callable"):
        keyword_defaults(3, positional=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"powr": 3}, r"optimizer\.options\.powr: mine takes no powr; did you mean power\?"),
        ({"share": 0.5}, r"mine's share has a key of its own; set optimizer\.momentum"),
    ],
)
def test_options_that_a_part_does_not_take_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        check_options("optimizer", "mine", options, ("share", "power"), {"share": "momentum"})


def test_a_part_that_takes_any_argument_takes_any_option():
    check_options("optimizer", "mine", {"anything": 1}, None, {})
