"""The attack itself: it finds planted faults, its tries repeat, and a short one is made."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from scripts.torture import damage, odd_archives, odd_images
from scripts.torture.attack import Attack, Outcome
from scripts.torture.op_table import NONSENSE, NONSENSE_FOR, WRONG, op_names, right_call
from scripts.torture.processes import memory_limit, start
from scripts.torture.small_run import difference
from scripts.torture.summary import Score, write_summary

ROOT = Path(__file__).parents[2]


def ended(function, tmp_path, seconds=20, limits=()):
    return start(function, tmp_path / "log", limits).end(seconds)


def test_an_end_with_a_documented_code_and_a_message_is_no_fault(tmp_path):
    assert ended(lambda: print("done"), tmp_path).fault() is None
    assert ended(lambda: sys.exit("error: no such folder"), tmp_path).code == 1

    def refuse():
        print("error: no such folder")
        sys.exit(2)

    assert ended(refuse, tmp_path).fault() is None


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (lambda: 1 / 0, "traceback: ZeroDivisionError"),
        (lambda: sys.exit(9), "exit code 9, which is not documented"),
        (lambda: sys.exit(3), "exit code 3 without a message"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was ended by SIGKILL"),
        (lambda: time.sleep(60), "hangs"),
    ],
)
def test_other_ends_are_faults(function, fault, tmp_path):
    assert fault in ended(function, tmp_path, seconds=1).fault()


def test_a_process_that_takes_too_much_memory_ends(tmp_path):
    limits = [memory_limit(0.5)]
    fault = ended(lambda: bytes(2**30), tmp_path, limits=limits).fault()
    assert fault is not None and "MemoryError" in fault
    assert ended(lambda: bytes(2**26), tmp_path, limits=limits).fault() is None


@pytest.mark.parametrize("name", damage.DAMAGES)
def test_every_damage_changes_the_file_and_nothing_outside(name, tmp_path):
    path, outside = tmp_path / "file.json", tmp_path / "precious"
    for file in (path, outside):
        file.write_text('{"a": 1234567890123456}')
    damage.DAMAGES[name](path, np.random.default_rng(0), outside)
    kept = path.is_file() and not path.is_symlink() and path.read_text(errors="replace")
    assert kept != outside.read_text() == '{"a": 1234567890123456}'


def test_damages_are_repeated_by_their_seed(tmp_path):
    found = []
    for name in ("a", "b"):
        folder = tmp_path / name
        (folder / "run").mkdir(parents=True)
        for file in ("config.json", "metrics.jsonl", "run.json"):
            (folder / "run" / file).write_text("{}" * 20)
        generator = np.random.default_rng(3)
        found.append(damage.damage_one(folder / "run", generator, folder)[:2])
    assert found[0] == found[1]


def test_wrong_values_have_their_descriptions():
    known = set(WRONG)
    assert known >= NONSENSE and all(known >= values for values in NONSENSE_FOR.values())


@pytest.mark.parametrize("name", op_names())
def test_the_right_call_of_every_op_is_right(name):
    call = right_call(name)
    assert call.function(**call.arguments) is not None


def test_every_op_is_attacked():
    from cnnjax import ops

    others = {
        "Separation",
        "batch_over",
        "compiler_options",
        "filters",
        "jit",
        "use_in_lax",
    }
    assert set(ops.__all__) - others <= set(op_names())


def test_odd_entries_can_be_made(tmp_path):
    for number, (name, make) in enumerate({**odd_images.ODD, **odd_archives.ODD}.items()):
        # These take seconds.
        if "GB" not in name and "MB" not in name and "million" not in name:
            folder = tmp_path / str(number) / "class"
            folder.mkdir(parents=True)
            make(folder, np.random.default_rng(0))
            assert len(list(folder.iterdir())) + len(list(folder.parent.iterdir())) > 1, name


def test_a_result_that_differs_in_anything_is_found():
    right = {"step": 22, "digest": "ab", "metrics": [{"step": 1, "loss": 0.5}]}
    assert difference(dict(right), right) is None
    for name, value in (("step", 21), ("digest", "cd"), ("metrics", [])):
        assert f"its {name} is not" in str(difference({**right, name: value}, right))
    assert difference({**right, "metrics": []}, right, metrics=False) is None
    assert "cannot be read" in str(difference({"problem": "gone"}, right))


def test_a_summary_counts_and_names_what_failed():
    score = Score(Attack("kills", lambda generator, scratch: [], "random kills"))
    score.add([Outcome(True, "fine")], 1)
    score.add([Outcome(False, "lost a bit"), Outcome(False, "hangs")], 1)
    score.add([Outcome(False, "lost a bit")], 1)
    assert (score.next_try, score.seconds) == (3, 3)
    text = write_summary([score], "python -m scripts.torture", 5, 60)
    assert "| `kills`: random kills | 4 | 1 | 3 |" in text
    assert "lost a bit (try 1, 2 times)" in text and "seed 5, 1.0 minutes" in text


def torture(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "scripts.torture", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


@pytest.mark.slow
def test_an_unknown_attack_is_refused():
    done = torture("--only=nothing")
    assert done.returncode == 1 and "there is no attack nothing; there are kills" in done.stderr


@pytest.mark.slow
@pytest.mark.process
def test_two_minutes_of_attacks_find_nothing(tmp_path):
    done = torture("--minutes=2", f"--output={tmp_path / 'torture.md'}")
    text = (tmp_path / "torture.md").read_text()
    assert re.search(r"\| all \| [\d,]+ \| [\d,]+ \| 0 \|", text), done.stdout + done.stderr[-4000:]
    assert done.returncode == 0
