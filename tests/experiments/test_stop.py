"""Training programs that get a signal to stop: what they save, and their exit codes."""

import signal
import socket
import time

import pytest

from cnnjax import training
from cnnjax.training.folder.checkpoints import Checkpoints
from tests.experiments.test_train import TINY
from tests.helpers.processes import start_python

STOPPED = 75
pytestmark = pytest.mark.process


def start(workdir, environment, *flags):
    """Starts a run far too long to end by itself, that logs every step."""
    endless = ("--config.epochs=100000", "--checkpoint_every=100000", "--log_every=5")
    arguments = ("-m", "experiments.train", *TINY, f"--workdir={workdir}", *endless, *flags)
    return start_python(*arguments, environment=environment, stdout=None)


def wait_for_step(workdir, step, processes):
    """Waits until a run has logged a step."""
    while not any(line["step"] >= step for line in training.read_metrics(workdir)):
        for process in processes:
            assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


def stopped_steps(workdir):
    return [e["step"] for e in training.read_events(workdir) if e["event"] == "stopped"]


@pytest.mark.slow
def test_ctrl_c_saves_and_leaves_with_a_code_of_its_own(environment, tmp_path):
    workdir = tmp_path / "run"
    process = start(workdir, environment)
    wait_for_step(workdir, 1, [process])
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == STOPPED, errors
    (step,) = stopped_steps(workdir)
    assert f"stopped by SIGINT after step {step} of" in errors
    assert "start the same command again to go on" in errors
    assert "Traceback" not in errors
    assert Checkpoints(workdir / "checkpoints").steps() == [step]


def test_two_processes_stop_at_the_same_step(environment, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    workdir = tmp_path / "run"
    together = ("--parallel=jit", f"--coordinator={address}", "--num_processes=2")
    environment = environment | {"XLA_FLAGS": ""}  # one device each
    processes = [start(workdir, environment, *together, f"--process_id={i}") for i in (0, 1)]
    try:
        wait_for_step(workdir, 5, processes)
        # One of them gets the signal, and it is not the one that writes.
        processes[1].send_signal(signal.SIGTERM)
        errors = [process.communicate(timeout=60)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [STOPPED, STOPPED], errors
    (step,) = stopped_steps(workdir)
    assert f"stopped by another process after step {step} of" in errors[0]
    assert f"stopped by SIGTERM after step {step} of" in errors[1]
    assert Checkpoints(workdir / "checkpoints").steps() == [step]
