"""profiles/slurm on a real SLURM of one node, brought up for the purpose."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from workflow import finish, numbers, records, start, write_experiment

SLURM_CONF = Path("/etc/slurm/slurm.conf")  # SLURM_CONF alone does not reach the jobs
CONF = """
ClusterName=kanlib-test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
{node} NodeAddr=127.0.0.1 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES State=UP
"""


def lacking() -> str:
    """Why there can be no SLURM here, or nothing."""
    missing = [name for name in ("munged", "slurmctld", "slurmd") if not shutil.which(name)]
    if missing:
        return f"SLURM is not installed: no {', '.join(missing)} (apt: slurm-wlm, munge)"
    if os.geteuid() != 0:
        return f"SLURM's daemons and {SLURM_CONF} need root"
    if SLURM_CONF.exists() and "ClusterName=kanlib-test" not in SLURM_CONF.read_text():
        return f"{SLURM_CONF} belongs to another SLURM"
    return ""


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(lacking()), reason=lacking() or "-")]


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """munged, slurmctld and slurmd in the foreground, their files in a folder of their own."""
    folder = tmp_path_factory.mktemp("slurm")
    controller, daemon = free_ports(2)
    node = subprocess.run(["slurmd", "-C"], capture_output=True, text=True, check=True)
    SLURM_CONF.parent.mkdir(exist_ok=True)
    SLURM_CONF.write_text(
        CONF.format(
            host=socket.gethostname().split(".")[0],
            controller=controller,
            daemon=daemon,
            folder=folder,
            node=node.stdout.splitlines()[0],
        )
    )
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    own = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "seed")]
    own += ["--foreground", "--force", f"--socket={folder}/munge.sock"]
    with ExitStack() as stack:
        stack.callback(SLURM_CONF.unlink)
        for command in (["munged", *own], ["slurmctld", "-D"], ["slurmd", "-D"]):
            log = stack.enter_context((folder / f"{command[0]}.txt").open("w"))
            process = stack.enter_context(subprocess.Popen(command, stdout=log, stderr=log))
            stack.callback(process.kill)
        wait_until_idle(folder)
        yield


def wait_until_idle(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True)
        if state.stdout.strip() == "idle":
            return
        time.sleep(0.25)
    logs = "\n".join(path.read_text()[-2000:] for path in folder.glob("*.txt"))
    raise AssertionError(f"SLURM did not come up:\n{logs}")


def training_job() -> str | None:
    """The number of a SLURM job whose kernel is at work, if there is one."""
    for process in psutil.process_iter():
        try:
            if "ipykernel_launcher" in process.cmdline() and process.cpu_times().user > 2:
                if job := process.environ().get("SLURM_JOB_ID"):
                    return job
        except psutil.Error:
            continue
    return None


def test_a_cancelled_job_is_made_again_and_records_are_those_of_a_local_run(
    tmp_path, slurm, undisturbed
):
    experiment = write_experiment(tmp_path)
    workflow = start(tmp_path, experiment, "records", profile="slurm")
    while (job := training_job()) is None and workflow.poll() is None:
        time.sleep(0.1)
    assert job is not None, workflow.communicate()[0]
    subprocess.run(["scancel", job], check=True)
    output, _ = workflow.communicate(timeout=600)
    assert workflow.returncode == 1
    assert "CANCELLED" in output, output
    whole = records(tmp_path)
    assert len(whole) == 3, output

    code, output = finish(tmp_path, experiment, "tables", profile="slurm")
    assert code == 0, output
    assert len(records(tmp_path)) == 4
    assert whole.items() <= records(tmp_path).items()
    for path in records(undisturbed):
        assert numbers(path) == numbers(tmp_path / path.relative_to(undisturbed))
    for path in (undisturbed / "results").glob("tiny_*"):
        assert path.read_text() == (tmp_path / "results" / path.name).read_text()
