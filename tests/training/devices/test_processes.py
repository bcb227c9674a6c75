"""Two processes of four devices each, on the loopback interface."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from cnnjax import inference, recipes, training
from cnnjax.patterns import path_names
from cnnjax.training.devices import processes as distributed
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.peers import PEER_LOST
from cnnjax.training.folder.checkpoints import Checkpoints
from tests.helpers.processes import start_python
from tests.training.devices.parallel_case import EXAMPLES, MULTI_PROCESS, Case

STEPS = 20
PATIENCE = 300

CONFIG = """
from cnnjax import recipes


def get_config():
    config = recipes.default_config()
    config.model.name = "lenet5"
    config.data.resize = 16
    config.data.batch_size = 64
    config.data.augmentation = "shift(1)"
    config.data.validation_examples = 1309
    config.optimizer.name = "sgd"
    config.optimizer.learning_rate = 0.05
    config.epochs = 12
    return config
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(*command, **variables):
    """Starts a process with four virtual devices, and other environment variables if given."""
    environment = {
        **os.environ,
        **variables,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONUNBUFFERED": "1",
    }
    return start_python(*command, environment=environment, stderr=subprocess.STDOUT)


@contextlib.contextmanager
def both(start_one):
    """Starts two processes, and leaves none of them running."""
    processes = [start_one(number) for number in range(2)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()


@pytest.mark.process
@pytest.mark.slow
def test_two_processes_compute_what_one_device_does(tmp_path):
    port = free_port()
    program = ["-m", "tests.training.devices.parallel_case", f"127.0.0.1:{port}", "2"]
    output = str(tmp_path / "result")
    with both(lambda number: start(*program, str(number), str(STEPS), output)) as processes:
        for process in processes:
            printed, _ = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, printed
    results = [dict(np.load(tmp_path / f"result-{number}.npz")) for number in range(2)]
    with jax.enable_x64(True):
        one = Case(Parallel(), np.float64)
        losses = one.run(STEPS)
        state = one.placement.fetch(one.state)
        expected = dict(zip(path_names(state), jax.tree.leaves(state), strict=True))
    for name in MULTI_PROCESS:
        np.testing.assert_allclose(results[0][f"{name}/losses"], losses, rtol=0, atol=1e-9)
        for path, leaf in expected.items():
            first, second = (result[f"{name}/{path}"] for result in results)
            np.testing.assert_allclose(first, leaf, rtol=0, atol=1e-9, err_msg=f"{name} {path}")
            np.testing.assert_array_equal(first, second)
        first, second = (set(result[f"{name}/devices"]) for result in results)
        assert len(first) == len(second) == 4 and not first & second
        np.testing.assert_array_equal(results[1][f"{name}/counted"], np.ones(EXAMPLES))


def train(number, port, config, workdir, data_dir):
    return start(
        *["-m", "experiments.train", f"--config={config}", f"--workdir={workdir}"],
        *[f"--data_dir={data_dir}", "--noreport", "--noprogress", "--log_every=1"],
        *["--parallel=jit", f"--coordinator=127.0.0.1:{port}", "--num_processes=2"],
        f"--process_id={number}",
    )


def wait_for(condition, processes):
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit
        for process in processes:
            assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)


def parameters(workdir):
    return jax.tree.leaves(inference.load(workdir).variables)


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_is_noticed_and_the_run_goes_on_elsewhere(tmp_path, data_dir, victim):
    path = tmp_path / "config.py"
    path.write_text(CONFIG)
    workdir = tmp_path / "run"
    port = free_port()
    with both(lambda number: train(number, port, path, workdir, data_dir)) as processes:
        wait_for((workdir / "checkpoints" / "00000004").is_dir, processes)
        processes[victim].send_signal(signal.SIGKILL)
        killed = time.monotonic()
        survivor = processes[1 - victim]
        printed, _ = survivor.communicate(timeout=distributed.HEARTBEAT_SECONDS)
        seconds = time.monotonic() - killed
    # Where the coordinator is gone, jax may abort before the lost connection is reported.
    allowed = {PEER_LOST, -signal.SIGABRT} if victim == 0 else {PEER_LOST}
    assert survivor.returncode in allowed, printed
    if survivor.returncode == PEER_LOST:
        assert f"process {victim} of this run has ended" in printed
    assert "another task died" in printed or "start all processes again" in printed
    assert seconds < distributed.NOTICE_SECONDS

    if victim == 0:
        return
    scope = {}
    exec(CONFIG, scope)
    config = recipes.parse_config(scope["get_config"]().to_dict())
    run = recipes.make_run(config, data_dir=data_dir)
    options = {"progress": False, "cadence": training.Cadence(checkpoint_every=4)}
    reached = Checkpoints(workdir / "checkpoints").newest_verified()
    assert reached is not None and 4 <= reached < 24
    elsewhere = Parallel("pmap", "data:2")
    resumed = training.fit(run, workdir, parallel=elsewhere, **options)
    assert resumed.step == 24
    whole = training.fit(run, tmp_path / "whole", **options)
    for ours, theirs in zip(parameters(workdir), parameters(tmp_path / "whole"), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
    assert abs(resumed.metrics["loss"] - whole.metrics["loss"]) < 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, 2, 0), "need --coordinator=HOST:PORT"),
        (("localhost", 2, 0), "'localhost' was given; write HOST:PORT"),
        (("localhost:1234", 2, None), "2 and None were given"),
        (("localhost:1234", 2, 2), "2 and 2 were given"),
    ],
)
def test_flags_that_do_not_fit_together_are_refused(arguments, message):
    with (
        pytest.raises(training.ConfigError, match=message),
        distributed.joined(*arguments),
    ):
        pass


LISTENING = """
import re, sys
from cnnjax.training.devices.processes import joined

port = int(sys.argv[1])
with joined(f"127.0.0.1:{port}", 1, 0):
    for table in ("tcp", "tcp6"):
        for line in open(f"/proc/net/{table}"):
            # Local address and port in hexadecimal; 0A is a socket that listens.
            found = re.search(rf": ([0-9A-F]+):{port:04X} [0-9A-F]+:0000 0A", line)
            if found:
                print("bound", table, found[1])
"""


@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's table of sockets")
def test_the_service_of_a_run_on_one_machine_is_not_offered_to_others():
    process = start_python("-c", LISTENING, str(free_port()), stderr=subprocess.STDOUT)
    output = process.communicate(timeout=PATIENCE)[0]
    (bound,) = [line for line in output.splitlines() if line.startswith("bound")]
    # 127.0.0.1, as it is or mapped to IPv6.
    assert bound in ("bound tcp 0100007F", f"bound tcp6 {'0' * 16}FFFF00000100007F"), output


def test_one_process_alone_waits_for_nobody():
    with distributed.joined(None), distributed.first_before_others():
        assert distributed.is_first() and not distributed.is_joined()
        assert distributed.from_first(lambda: 7) == 7
