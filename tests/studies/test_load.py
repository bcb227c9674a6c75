"""Studies read from files; what is wrong with a file is named."""

import pytest

from cnnjax import studies, training
from tests.helpers.processes import ROOT

TINY = ROOT / "tests" / "studies" / "tiny_study.py"


def test_a_scale_is_chosen_by_name():
    twelve, four = studies.load_study(TINY), studies.load_study(TINY, "four")
    assert [len(studies.plan_runs(study)) for study in (twelve, four)] == [12, 4]
    assert four.source == (TINY, "four")
    assert list(studies.scales_of(TINY)) == ["twelve", "four"]


@pytest.mark.parametrize(
    ("text", "scale", "message"),
    [
        ("", None, "has no function get_study"),
        ("get_study = 3", None, "has no function get_study"),
        ("def get_study():\n    return 3", None, "returned int; return a studies.Study"),
        ("def get_study():\n    return 1 / 0", None, r"file.py, line 2 fails with ZeroDivision"),
        ("def get_study(:", None, r"file.py, line 1 fails with SyntaxError"),
        ("import nowhere_at_all", None, r"line 1 fails with ModuleNotFoundError"),
        ("def get_study():\n    return 3", "small", "has no scales; leave it out"),
        ("SCALES = ['a']\ndef get_study(scale):\n    return 3", "a", "no mapping of names"),
        (
            "SCALES = {'small': '', 'paper': ''}\ndef get_study(scale):\n    return 3",
            "papr",
            r"no scale 'papr'; did you mean paper\? there are small, paper",
        ),
        (
            "from cnnjax import studies\ndef get_study():\n    return studies.Factor('a b', {})",
            None,
            r"file.py: study.factors: 'a b' cannot be a factor's name",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path, text, scale, message):
    path = tmp_path / "file.py"
    path.write_text(text)
    with pytest.raises(training.ConfigError, match=message):
        studies.load_study(path, scale)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(training.ConfigError, match=r"nowhere\.py was not found"):
        studies.load_study(tmp_path / "nowhere.py")
