"""The command `cnnjax study`: its lists, its results, and its ends."""

import json
import signal
import time

import pytest

from cnnjax import studies
from tests.helpers.processes import run_python, start_python

TINY = "tests/studies/tiny_study.py"
pytestmark = pytest.mark.process


def study(*flags, environment):
    done = run_python("-m", "experiments.study", *flags, environment=environment)
    return done.returncode, done.stdout, done.stderr


def test_the_list_has_a_command_for_each_run(environment, tmp_path):
    workdir = tmp_path / "a folder"
    flags = (f"--study={TINY}", "--scale=four", f"--workdir={workdir}")
    code, out, err = study(*flags, "--list", environment=environment)
    assert (code, err) == (0, "")
    names = [run.name for run in studies.plan_runs(studies.load_study(TINY, "four"))]
    assert out.splitlines() == [
        f"python -m experiments.study --study={TINY} '--workdir={workdir}' --scale=four "
        f"--only={name}"
        for name in names
    ]
    assert not workdir.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--study=degradatio"], "--study: degradatio was not found; did you mean degradation?"),
        ([f"--study={TINY}", "--scale=fuor"], "did you mean four?"),
        ([f"--study={TINY}"], "--workdir is required, except with --dry_run"),
        ([f"--study={TINY}", "--workdir=x", "--only=rate"], "the study has no run 'rate'"),
        ([f"--study={TINY}", "--workdir=x", "--job=2"], "did you mean --jobs?"),
        ([], "--study is required"),
        (["degradation", "--study=degradation"], "'degradation' follows the flags"),
    ],
)
def test_wrong_flags_are_named(environment, flags, message):
    code, _, err = study(*flags, environment=environment)
    assert code == 2
    assert err.startswith("error: ") and message in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_dry_run_prints_runs_and_cost(environment):
    flags = (f"--study={TINY}", "--scale=four", "--dry_run")
    code, out, err = study(*flags, environment=environment)
    assert code == 0, err
    # 8x8 digits: 16 outputs of a 3x3 kernel for each of 4 filters, then 64 values to 10 classes.
    count = 16 * 9 * 4 + 64 * 10
    assert out.splitlines()[1].split() == ["rate-low_seed-0", f"{count:,}", "256", "3.11e+05"]
    assert out.splitlines()[5].split() == ["4", "runs", "1,024", "1.25e+06"]


@pytest.mark.slow
def test_two_processes_on_one_machine_finish_a_study(environment, tmp_path):
    flags = (f"--study={TINY}", "--scale=four", f"--workdir={tmp_path}", "--jobs=2")
    code, out, err = study(*flags, environment=environment)
    assert code == 0, err
    assert "4 of 4 runs finished" in out and "| low | 2 of 2 |" in out
    assert out.splitlines()[-1].split() == ["comparison", str(tmp_path / "comparison.html")]
    assert "4 of 4 runs finished" in (tmp_path / "comparison.html").read_text()
    hosts = {
        json.loads(path.read_text())["process"] for path in tmp_path.glob("runs/*/outcomes.json")
    }
    assert len(hosts) == 2
    assert "4 of 4 runs finished" in err.splitlines()[-1]


@pytest.mark.slow
def test_a_failing_run_is_named_and_gives_the_exit_code(environment, tmp_path):
    bad = tmp_path / "runs" / "rate-low_seed-1" / "checkpoints"
    flags = (f"--study={TINY}", "--scale=four", f"--workdir={tmp_path}")
    code, _, err = study(*flags, "--only=rate-low_seed-1", environment=environment)
    assert code == 0, err
    (bad.parent / "outcomes.json").unlink()
    for path in bad.rglob("*"):
        if path.is_file() and "arrays" in path.parts:
            path.write_bytes(b"damaged")
    code, out, err = study(*flags, environment=environment)
    assert code == 3
    assert "error: runs failed: rate-low_seed-1" in err
    assert "- rate-low_seed-1: CheckpointError: every checkpoint in" in out
    assert "3 of 4 runs finished" in out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("jobs", "number", "code"),
    [(1, signal.SIGTERM, 75), (2, signal.SIGTERM, 75), (2, signal.SIGKILL, -9)],
)
def test_all_processes_stop_and_save(environment, tmp_path, jobs, number, code):
    """Also those whose first process is killed, and cannot stop them."""
    text = (
        "from tests.studies import tiny_study\nfrom dataclasses import replace\n"
        "def get_study():\n    study = tiny_study.get_study('four')\n"
        "    return replace(study, base={**study.base, 'epochs': 100_000})\n"
    )
    (tmp_path / "endless.py").write_text(text)
    workdir = tmp_path / "study"
    process = start_python(
        *("-m", "experiments.study", f"--study={tmp_path / 'endless.py'}"),
        *(f"--workdir={workdir}", f"--jobs={jobs}"),
        environment=environment,
    )
    while len(list(workdir.glob("runs/*/checkpoints/0*"))) < jobs:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    process.send_signal(number)
    # Standard error ends when the last process has ended.
    _, errors = process.communicate(timeout=240)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert not list(workdir.glob("claims/*.claim"))


SEARCH = "tests/studies/search/tiny_search.py"


@pytest.mark.slow
def test_two_processes_on_one_machine_finish_a_search(environment, tmp_path):
    flags = (f"--study={SEARCH}", "--scale=eight", f"--workdir={tmp_path}", "--jobs=2")
    code, out, err = study(*flags, environment=environment)
    assert code == 0, err
    assert "# Which rate suits a tiny network?" in out and "8 trials: " in out
    assert "2 of 2 runs finished" in err
    tested = json.loads((tmp_path / "results.json").read_text())["tested"]
    assert set(tested) == {"retrained_seed-0", "retrained_seed-1"}


@pytest.mark.slow
def test_the_trials_of_a_search_are_listed_and_run_one_by_one(environment, tmp_path):
    flags = (f"--study={SEARCH}", f"--workdir={tmp_path}")
    code, out, err = study(*flags, "--list", environment=environment)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.rpartition("=")[2] for line in lines] == [f"trial-{n:04d}" for n in range(3)]
    code, out, err = study(*flags, "--only=trial-0002", environment=environment)
    assert code == 0, err
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["trial-0002"]
    code, out, err = study(*flags, "--dry_run", environment=environment)
    assert code == 0 and "then the best, trained again with 2 seeds" in out
