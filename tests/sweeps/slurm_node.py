"""A real Slurm with this machine as its only node, in a temporary folder."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "scancel", "munged")
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why no Slurm can be started here; empty if one can."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    absent = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    return "" if os.geteuid() == 0 else "only root can start a Slurm"


@contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Environment in which sbatch reaches it."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(folder=folder, host=socket.gethostname(), ports=_free_ports(2)))
    environment = os.environ | {"SLURM_CONF": str(config), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    munge = _munge(environment)
    daemons = [
        subprocess.Popen([name, "-D"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for name in ("slurmctld", "slurmd")
    ]
    try:
        _until(lambda: "idle" in _call(environment, "sinfo", "-h", "-o", "%T"), "the node is not idle")
        yield environment
    finally:
        _call(environment, "scancel", "--user=root")
        for process in [*reversed(daemons), *munge]:
            process.terminate()
            process.wait(timeout=30)


def queued(environment: dict[str, str]) -> dict[str, str]:
    """State of each job that is waiting or running."""
    lines = _call(environment, "squeue", "-h", "-r", "-o", "%i %T").splitlines()
    return dict(line.split() for line in lines)


def _munge(environment: dict[str, str]) -> list["subprocess.Popen[bytes]"]:
    """The daemon that signs Slurm's messages, unless it is running already."""
    if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0:
        return []
    Path("/run/munge").mkdir(exist_ok=True)
    shutil.chown("/run/munge", "munge")
    process = subprocess.Popen(["runuser", "-u", "munge", "--", "munged", "--foreground"], env=environment)
    _until(lambda: subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0, "munge is silent")
    return [process]


def _call(environment: dict[str, str], *words: str) -> str:
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False).stdout


def _until(condition, otherwise: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, otherwise
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    with_ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [item.getsockname()[1] for item in with_ports]
    for item in with_ports:
        item.close()
    return ports
