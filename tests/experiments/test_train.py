"""The programs as a user starts them: real processes, real folders, wrong flags."""

import json
import shutil
import signal
import time

import numpy as np
import pytest
from PIL import Image

from tests.helpers.processes import start_python

pytestmark = pytest.mark.process

CONFIG = "--config=experiments/configs/lenet5_digits.py"
TINY = (
    CONFIG,
    "--config.data.resize=16",
    "--config.data.pad=0",
    "--config.data.batch_size=64",
    "--config.data.validation_examples=1309",
    # The step is then the same for any number of epochs, and compiled once for all tests.
    "--config.schedule.name=constant",
    "--config.schedule.warmup_epochs=0",
    "--config.epochs=4",
    "--noprogress",
    "--noreport",
)


def start(program, *arguments, environment):
    """Starts a program of experiments; or a command, "cnnjax NAME"."""
    name = program.split() if " " in program else [f"experiments.{program}"]
    return start_python("-m", *name, *arguments, environment=environment)


def run(program, *arguments, environment):
    """Returns exit code, standard output and standard error of a finished program."""
    process = start(program, *arguments, environment=environment)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, environment):
    """The folder and the output of a run that nothing happened to."""
    workdir = tmp_path_factory.mktemp("undisturbed") / "run"
    code, out, err = run("train", *TINY, f"--workdir={workdir}", environment=environment)
    assert code == 0, err
    return workdir, out


def arrays(workdir, step):
    """Returns every array of a checkpoint, by path."""
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer() as checkpointer:
        tree = checkpointer.restore(workdir / "checkpoints" / f"{step:08d}" / "arrays")
    flat = {}

    def collect(node, path):
        for key, value in node.items():
            if isinstance(value, dict):
                collect(value, f"{path}/{key}")
            elif value is not None:
                flat[f"{path}/{key}"] = np.asarray(value)

    collect(tree, "")
    return flat


def test_killing_a_run_and_starting_it_again_changes_no_bit(
    undisturbed, environment, tmp_path, record_property
):
    workdir = tmp_path / "run"
    command = ("train", *TINY, f"--workdir={workdir}")
    process = start(*command, environment=environment)
    checkpoints = workdir / "checkpoints"
    while not any(path.name.isdigit() for path in checkpoints.glob("*")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines if line.endswith("}")]
    killed_at = max(steps)
    record_property("killed_at_step", killed_at)
    print(f"killed after step {killed_at} of 8")
    assert 0 < killed_at < 8
    # By the console command, of which the program is a thin shell.
    code, _, err = run("cnnjax train", *command[1:], environment=environment)
    assert code == 0, err
    assert "resuming from the checkpoint of step" in err
    expected, resumed = arrays(undisturbed[0], 8), arrays(workdir, 8)
    assert expected.keys() == resumed.keys()
    for path, value in expected.items():
        assert value.tobytes() == resumed[path].tobytes(), path


def test_evaluate_recomputes_what_training_printed(undisturbed, environment):
    workdir, printed = undisturbed
    code, out, err = run("evaluate", f"--workdir={workdir}", environment=environment)
    assert code == 0, err
    assert out.startswith("validation accuracy")
    assert out.splitlines()[:2] == printed.splitlines()[:2]
    # The loss is the negative log-likelihood, since labels are smoothed in training alone.
    assert out.splitlines()[2].split()[1:] == printed.splitlines()[2].split()[1:]
    assert out.splitlines()[-1].endswith(f"lenet5 of {workdir}, step 8")


def test_evaluate_averages_over_checkpoints_and_views(undisturbed, environment, tmp_path):
    code, out, err = run(
        "evaluate",
        f"--workdir={undisturbed[0]}",
        "--last=2",
        "--crops=ten",
        "--scales=16,20",
        f"--output={tmp_path / 'result.json'}",
        environment=environment,
    )
    assert code == 0, err
    assert "ten crops of 16 pixels at scale 16, 20" in out
    written = json.loads((tmp_path / "result.json").read_text())
    assert [member["step"] for member in written["members"]] == [6, 8]
    assert written["examples"] == 1309
    assert out.splitlines()[0].split()[-1] == f"{written['accuracy']:.2%}"


@pytest.mark.parametrize("program", ["evaluate", "report"])
def test_who_decodes_can_be_chosen_wherever_a_set_is_read(program, environment, tmp_path):
    code, _, err = run(
        program, f"--workdir={tmp_path}", "--decode_threads=0", environment=environment
    )
    assert code == 2 and "decode_threads" in err and "unknown" not in err


def test_predict_names_the_classes_of_a_folder_and_what_is_damaged(
    undisturbed, environment, tmp_path
):
    folder = tmp_path / "images" / "deep"
    folder.mkdir(parents=True)
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(folder / "black.png")
    (folder / "damaged.png").write_text("x")
    code, out, err = run(
        "predict",
        f"--workdir={undisturbed[0]}",
        "--top=10",
        f"--output={tmp_path / 'predictions.csv'}",
        tmp_path / "images",
        environment=environment,
    )
    assert code == 4, err
    assert f"{folder / 'damaged.png'}: damaged" in err
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 3
    shares = [float(part.split()[1].rstrip("%")) for part in out.split(": ", 1)[1].split(", ")]
    assert len(shares) == 10
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.1)


def test_predict_names_files_that_do_not_exist(undisturbed, environment, tmp_path):
    code, _, err = run(
        "predict", f"--workdir={undisturbed[0]}", tmp_path / "none.png", environment=environment
    )
    assert code == 2
    assert "none.png" in err
    assert "Traceback" not in err


# Each is a process of its own; four are enough for the default tests.
WRONG_FLAGS = [
    ((CONFIG, "--config.model.name=lenet6"), "unknown model 'lenet6'"),
    ((CONFIG, "--config.epoch=3"), "--config.epoch is unknown; did you mean config.epochs?"),
    (("--config=none.py",), "none.py"),
    ((CONFIG, "--wrkdir=x"), "did you mean --workdir?"),
]
MORE_WRONG_FLAGS = [
    ((CONFIG, "--config.epochs=ten"), "--config.epochs=ten"),
    ((CONFIG, "--config.data.resize=8"), "cannot take images of 12x12x1"),
    ((CONFIG, "--epochs=3"), "--epochs is unknown; did you mean --config.epochs?"),
    (("--config=lenet5_digit",), "did you mean lenet5_digits"),
    ((), "give a configuration file"),
]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [*WRONG_FLAGS, *(pytest.param(*row, marks=pytest.mark.slow) for row in MORE_WRONG_FLAGS)],
)
def test_a_wrong_flag_is_named_without_a_traceback_and_nothing_is_written(
    arguments, message, environment, tmp_path
):
    workdir = tmp_path / "run"
    code, _, err = run("train", *arguments, f"--workdir={workdir}", environment=environment)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert not workdir.exists()


def test_a_folder_that_cannot_be_made_is_named(environment, tmp_path):
    (tmp_path / "file").write_text("x")
    code, _, err = run("train", *TINY, f"--workdir={tmp_path}/file/run", environment=environment)
    assert code == 2
    assert "is not a folder" in err
    assert "Traceback" not in err


def test_a_folder_of_another_configuration_is_left_alone(undisturbed, environment, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed[0], workdir)
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    code, _, err = run(
        "train", *TINY, "--config.seed=1", f"--workdir={workdir}", environment=environment
    )
    assert code == 2
    assert "config.seed is 0 there, 1 was given" in err
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*")} == before


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_taken(
    undisturbed, environment, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed[0], workdir)
    (workdir / "checkpoints" / "00000008" / "record.json").write_text("{}")
    code, out, err = run("train", *TINY, f"--workdir={workdir}", environment=environment)
    assert code == 0, err
    assert "checkpoint 8 is damaged" in err
    assert "falling back" in err
    assert out.splitlines()[:4] == undisturbed[1].splitlines()[:4]


def test_help_describes_the_program(environment):
    code, out, err = run("train", "--help", environment=environment)
    assert (code, err) == (0, "")
    for text in ("python -m experiments.train", "Train a network", "--mesh", "--config.optimizer"):
        assert text in out
