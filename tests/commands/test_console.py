"""The console command and the thin shells: help, unknown commands, a tiny run."""

import json

import pytest

from cnnjax.commands import exit_codes
from cnnjax.commands.__main__ import COMMANDS, main, overview
from cnnjax.training.devices import peers
from tests.helpers.processes import ROOT, run_python


def run(*arguments, environment=None, cwd=ROOT):
    """Returns exit code, standard output and standard error of a Python process."""
    done = run_python(*arguments, cwd=cwd, environment=environment)
    return done.returncode, done.stdout, done.stderr


LISTING = """
import importlib, json, sys
from absl import flags
before = set(flags.FLAGS)
sys.argv = ["cnnjax " + sys.argv[1]]
module = importlib.import_module("cnnjax.commands." + sys.argv[0].split()[1])
from cnnjax.commands.help.grouped_help import command_help
text = command_help(module.__doc__)
ours = [
    flag.name for name, defined in flags.FLAGS.flags_by_module_dict().items()
    if name.startswith("cnnjax") for flag in defined
]
print(json.dumps({"ours": ours, "text": text}))
"""

EXPECTED = {
    "train": {"config", "workdir", "parallel", "mesh", "data_dir", "extend_to", "compile_cache"},
    "evaluate": {"workdir", "crops", "scales", "steps", "data_dir", "output", "resident"},
    "predict": {"workdir", "crops", "top", "invert", "data_dir"},
    "report": {"workdir", "model", "weights", "output", "invert", "analysis", "decode_threads"},
    "compare": {"output", "data_dir"},
    "study": {"study", "workdir", "scale", "jobs", "dry_run", "list", "only", "data_dir"},
}
"""Some flags of each command, among them flags of other modules than the command's."""


@pytest.mark.process
@pytest.mark.parametrize("command", EXPECTED)
def test_help_lists_every_flag_with_its_default_in_groups(command):
    code, out, err = run("-c", LISTING, command)
    assert code == 0, err
    listed = json.loads(out)
    ours, text = set(listed["ours"]), listed["text"]
    assert ours >= EXPECTED[command]
    lines = [line.strip() for line in text[text.index("The run:") :].splitlines()]
    for name in ours:
        starts = (f"--{name}=", f"--[no]{name} ")
        (start,) = [i for i, line in enumerate(lines) if line.startswith(starts)]
        entry = " ".join(lines[start : start + 7])
        assert any(word in entry for word in ("[default:", "; default:", "required]", "same as"))
    assert text.index("The run:") < text.index("Data:") < text.index("Other:")
    assert max(map(len, text.splitlines())) <= 100
    for code in exit_codes.MEANINGS:
        assert any(line.startswith(f"{code} ") for line in lines)


@pytest.mark.process
def test_thin_shells_are_the_commands():
    """Their help differs in how the program was started, and in nothing else."""
    shell, command = (
        run("-m", *program, "--help") for program in (["experiments.train"], ["cnnjax", "train"])
    )
    assert (shell[0], shell[2]) == (command[0], command[2]) == (0, "")
    assert shell[1].splitlines()[0] == "usage: python -m experiments.train [FLAGS]"
    assert command[1].splitlines()[0] == "usage: cnnjax train [FLAGS]"
    assert shell[1].splitlines()[1:] == command[1].splitlines()[1:]


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "report", "compare", "study"])
def test_every_command_of_a_run_has_its_thin_shell(command):
    shell = (ROOT / "experiments" / f"{command}.py").read_text()
    assert f"from cnnjax.commands.{command} import run" in shell
    assert len(shell.splitlines()) < 10


@pytest.mark.slow
@pytest.mark.process
def test_a_file_of_defaults_alone_trains(environment, tmp_path):
    (tmp_path / "plain.py").write_text(
        "from cnnjax import recipes\nget_config = recipes.default_config\n"
    )
    workdir = tmp_path / "run"
    train = ("-m", "cnnjax", "train", "--config=plain.py", f"--workdir={workdir}", "--noreport")
    environment = environment | {"PYTHONPATH": str(ROOT)}
    code, out, err = run(*train, environment=environment, cwd=tmp_path)
    assert code == 0, err
    accuracy = float(out.splitlines()[0].split()[-1].rstrip("%"))
    assert accuracy > 90


def test_the_overview_has_a_line_for_each_command(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert out.strip() == overview()
    for command in COMMANDS:
        (line,) = [line for line in out.splitlines() if line.startswith(f"  {command} ")]
        assert line.endswith(".") and len(line) <= 100
        assert (ROOT / "cnnjax" / "commands" / f"{command}.py").is_file()


def test_an_unknown_command_names_the_nearest(capsys):
    with pytest.raises(SystemExit) as left:
        main(["trian"])
    assert left.value.code == 2
    assert capsys.readouterr().err == (
        "error: cnnjax has no command 'trian'; did you mean train?\n"
    )


@pytest.mark.parametrize("arguments", [["zzzzz"], []])
def test_without_a_command_all_are_named(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    err = capsys.readouterr().err
    assert all(command in err for command in COMMANDS)


def test_the_code_of_a_lost_process_is_the_one_it_leaves_with():
    assert exit_codes.PEER_LOST == peers.PEER_LOST


def test_the_page_of_commands_names_all_of_them_and_every_exit_code():
    page = (ROOT / "docs" / "commands.md").read_text()
    for command in COMMANDS:
        assert f"cnnjax {command} " in page
    for code, meaning in exit_codes.MEANINGS.items():
        assert f"| {code} | {meaning} |" in page
