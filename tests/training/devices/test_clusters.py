"""The launch files, and the environment variables of clusters, with two processes on loopback."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cnnjax import inference
from tests.helpers.processes import ROOT
from tests.training.devices.test_processes import CONFIG, PATIENCE, both, free_port, start

LAUNCH = ROOT / "scripts" / "launch"

SBATCH = {
    "job-name": r"\w+",
    "nodes": r"\d+",
    "ntasks-per-node": r"\d+",
    "gpus-per-node": r"\d+",
    "cpus-per-task": r"\d+",
    "time": r"\d+:\d\d:\d\d",
    "signal": r"TERM@\d+",
    "requeue": "",
    "open-mode": "append|truncate",
    "output": r"\S+",
}
"""Options of sbatch that the script uses, and the form of their values, from sbatch's manual."""


@pytest.mark.parametrize("name", ["slurm.sh", "tpu_pod.sh"])
def test_scripts_have_no_errors_of_syntax(name):
    subprocess.run(["bash", "-n", LAUNCH / name], check=True)


def test_options_of_sbatch_have_their_form_and_come_first():
    head, _, rest = (LAUNCH / "slurm.sh").read_text().partition("\nset -u")
    found = re.findall(r"^#SBATCH (.*)$", head, re.MULTILINE)
    # sbatch reads no options after the first command.
    assert "#SBATCH" not in rest and len(found) == len(SBATCH)
    for option in found:
        name, _, value = option.removeprefix("--").partition("=")
        assert option.startswith("--") and re.fullmatch(SBATCH[name], value), option


def _command(name, *arguments, **variables):
    return subprocess.run(
        ["bash", LAUNCH / name, *arguments],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
    )


def _tool(folder, name, text):
    """Writes a program that stands in for one of the cluster's."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("code", "restarts", "again"),
    [(0, 0, False), (75, 0, True), (5, 3, True), (134, 0, True), (3, 0, False), (75, 20, False)],
)
def test_slurm_starts_a_run_again_where_that_helps(tmp_path, code, restarts, again):
    _tool(tmp_path / "bin", "srun", f"exit {code}")
    path = _tool(tmp_path / "bin", "scontrol", f'echo "$@" > {tmp_path}/asked')
    count = {"SLURM_RESTART_COUNT": str(restarts)} if restarts else {}
    done = _command("slurm.sh", PATH=path, SLURM_JOB_ID="17", **count)
    assert done.returncode == code, done.stderr
    asked = tmp_path / "asked"
    assert asked.exists() is again
    assert not again or asked.read_text() == "requeue 17\n"


def test_the_command_for_tpu_hosts_keeps_its_words(tmp_path):
    # As ssh does, the stand-in gives the command to a shell.
    text = 'for last; do :; done\nprintf "%s\\n" "$@" | head -8\neval "${last#--command=}"'
    _tool(tmp_path / "bin", "cnnjax", 'printf "<%s>" "$@"')
    path = _tool(tmp_path / "bin", "gcloud", text)
    done = _command("tpu_pod.sh", "--config.a=b c", PATH=path, TPU="mine", ZONE="here")
    assert "tpu-vm\nssh\nmine\n--zone=here\n--worker=all" in done.stdout, done.stderr
    assert done.stdout.endswith("<train><--parallel=jit><--coordinator=auto><--config.a=b c>")
    missing = _command("tpu_pod.sh", TPU="mine")
    assert missing.returncode != 0 and "name its zone" in missing.stderr


def _jobset():
    return yaml.safe_load((LAUNCH / "jobset.yaml").read_text())


def test_the_jobset_has_one_number_of_pods_and_the_name_of_the_first():
    jobset = _jobset()
    assert (jobset["apiVersion"], jobset["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    (workers,) = jobset["spec"]["replicatedJobs"]
    job = workers["template"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert job["completionMode"] == "Indexed" and workers["replicas"] == 1
    assert job["parallelism"] == job["completions"] == int(variables["PROCESSES"])
    # The names that JobSet gives: https://jobset.sigs.k8s.io/docs/concepts
    name = jobset["metadata"]["name"]
    host, _, port = variables["COORDINATOR"].partition(":")
    assert host == f"{name}-{workers['name']}-0-0.{name}"
    assert int(port) == container["ports"][0]["containerPort"]
    volumes = {each["name"] for each in job["template"]["spec"]["volumes"]}
    assert {each["name"] for each in container["volumeMounts"]} == volumes


@pytest.fixture
def run_folder(tmp_path):
    """A short configuration, a run's folder, and `cnnjax` as a program."""
    config = CONFIG.replace("config.epochs = 12", "config.epochs = 1")
    (tmp_path / "config.py").write_text(config)
    program = f'shift\ncd {ROOT}\nexec {sys.executable} -m experiments.train "$@" --noprogress'
    _tool(tmp_path / "bin", "cnnjax", program)
    return tmp_path


def _variables(folder, **variables):
    return {
        **os.environ,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        **variables,
    }


@pytest.mark.process
@pytest.mark.slow
def test_slurms_variables_make_two_processes_one_run(run_folder, data_dir):
    port = str(free_port())
    # Two tasks with the variables of slurmstepd; the code is the highest of theirs.
    srun = """
export SLURM_STEP_NODELIST=localhost SLURM_NTASKS=2
shift
SLURM_PROCID=0 SLURM_LOCALID=0 "$@" & first=$!
SLURM_PROCID=1 SLURM_LOCALID=1 "$@" & second=$!
wait $first; one=$?
wait $second; two=$?
exit $(( one > two ? one : two ))
"""
    _tool(run_folder / "bin", "srun", srun)
    workdir = run_folder / "run"
    done = subprocess.run(
        [
            *["bash", LAUNCH / "slurm.sh", f"--config={run_folder / 'config.py'}"],
            *[f"--workdir={workdir}", f"--data_dir={data_dir}", "--noreport"],
        ],
        env=_variables(run_folder, SLURM_JOB_ID="17", JAX_COORDINATOR_PORT=port),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    _check_finished(workdir)


@pytest.mark.process
@pytest.mark.slow
def test_jobsets_variables_make_two_processes_one_run(run_folder, data_dir):
    (workers,) = _jobset()["spec"]["replicatedJobs"]
    (container,) = workers["template"]["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]} | {
        "COORDINATOR": f"127.0.0.1:{free_port()}",
        "CONFIG": str(run_folder / "config.py"),
        "WORKDIR": str(run_folder / "run"),
        "DATA": str(data_dir),
    }

    def start_one(number):
        return subprocess.Popen(
            container["command"],
            env=_variables(run_folder, **variables, JOB_COMPLETION_INDEX=str(number)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    with both(start_one) as processes:
        for process in processes:
            printed, _ = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, printed
    _check_finished(run_folder / "run")


TPU_HOST = """
import sys
import jax
from jax._src.clusters import cloud_tpu_cluster, cluster
# What libtpu finds on a machine with TPUs.
cloud_tpu_cluster.running_in_cloud_tpu_vm = cluster.running_in_cloud_tpu_vm = True
from cnnjax.training.devices.processes import from_first, joined
with joined("auto"):
    print("joined", jax.process_index(), jax.process_count(), jax.device_count())
    print("first", from_first(lambda: 7))
"""


@pytest.mark.process
@pytest.mark.slow
def test_the_variables_of_tpu_hosts_make_two_processes_one():
    variables = {
        "TPU_WORKER_HOSTNAMES": "localhost,localhost",
        "TPU_SKIP_MDS_QUERY": "1",
        # Of several slices; where they are not set, JAX asks Google's metadata server.
        "MEGASCALE_COORDINATOR_ADDRESS": "",
        "MEGASCALE_NUM_SLICES": "",
        "MEGASCALE_SLICE_ID": "",
        "JAX_COORDINATOR_PORT": str(free_port()),
    }

    def start_one(number):
        return start("-c", TPU_HOST, TPU_WORKER_ID=str(number), **variables)

    with both(start_one) as processes:
        for number, process in enumerate(processes):
            printed, _ = process.communicate(timeout=PATIENCE)
            assert f"joined {number} 2 8" in printed and "first 7" in printed, printed


def _check_finished(workdir: Path) -> None:
    """Checks that the processes, of two devices each, have trained as one."""
    assert inference.load(workdir).variables["params"]
    assert '"devices": "4 x cpu (cpu)"' in (workdir / "run.json").read_text()
