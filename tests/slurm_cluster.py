"""A Slurm cluster of one node, this machine, with two devices that pass for GPUs; all of it in one folder."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
PLUGIN = "snakemake_executor_plugin_slurm"
DEVICES = ("/dev/null", "/dev/zero")  # Slurm wants device files and never opens them
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
MinJobAge=3600
MessageTimeout=100
BatchStartTimeout=100
TCPTimeout=30
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=64000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """What is not installed for a cluster here, "" where nothing."""
    absent = [program for program in PROGRAMS if not find(program)]
    if absent:
        return f"{', '.join(absent)} not installed (apt-get install slurm-wlm munge)"
    if importlib.util.find_spec(PLUGIN) is None:
        return "Snakemake's Slurm plugin is not installed (make test-slurm)"
    return "" if os.geteuid() == 0 else "slurmd starts jobs for root only"


def find(program: str) -> str | None:
    """Path of a program of Slurm; the daemons are not on everybody's PATH."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    with contextlib.ExitStack() as sockets:
        opened = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in opened:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in opened]


class Cluster:
    """The running cluster; `environment` is what its commands need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}
        self.daemons: list[subprocess.Popen[bytes]] = []

    def configure(self) -> None:
        """Write keys and settings."""
        host = socket.gethostname().split(".")[0]
        controller_port, node_port = free_ports(2)
        for name in ("state", "spool", "bin"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        written = CONFIGURATION.format(
            folder=self.folder, host=host, user=pwd.getpwuid(os.geteuid()).pw_name, gpus=len(DEVICES),
            controller_port=controller_port, node_port=node_port,
        )  # fmt: skip
        (self.folder / "slurm.conf").write_text(written)
        (self.folder / "gres.conf").write_text("".join(f"Name=gpu File={device}\n" for device in DEVICES))
        # The plugin takes SLURM_* from the environment of its steps, and srun would look under /etc. On a machine so
        # busy that scontrol takes ten seconds it asks sacct, which knows nothing here.
        self.write_program("srun", f'SLURM_CONF={self.folder}/slurm.conf exec {find("srun")} "$@"')
        self.write_program("sacct", 'for name; do :; done; exec squeue -h --states=all --format="%i|%T" --name "$name"')

    def write_program(self, name: str, line: str) -> None:
        """A program that comes before Slurm's own of that name."""
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def start(self, *command: str) -> None:
        """Start one daemon in the foreground of a process group of its own."""
        program = find(command[0])
        assert program
        with open(self.folder / f"{command[0]}.said", "wb") as said:
            daemon = subprocess.Popen(
                [program, *command[1:]], env=self.environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                start_new_session=True,
            )  # fmt: skip
        self.daemons.append(daemon)

    def ask(self, *command: str) -> str:
        """What a command of Slurm says; "" where it fails."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else ""

    def wait_for(self, *command: str, pattern: str, patience: float = 120) -> None:
        """Until the command's answer matches."""
        until = time.monotonic() + patience
        while not re.search(pattern, self.ask(*command)):
            assert all(daemon.poll() is None for daemon in self.daemons), self.logs()
            assert time.monotonic() < until, self.logs()
            time.sleep(0.5)

    def jobs(self) -> list[dict[str, str]]:
        """All jobs since the cluster was started, as `scontrol` describes them."""
        lines = self.ask("scontrol", "--oneliner", "show", "job").splitlines()
        described = [line.split() for line in lines if line.startswith("JobId=")]
        return [dict(part.split("=", 1) for part in parts if "=" in part) for parts in described]

    def logs(self) -> str:
        """Ends of all that the daemons wrote."""
        files = sorted([*self.folder.glob("*.said"), *self.folder.glob("*.log")])
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-2000:]}" for file in files)

    def stop(self) -> None:
        """End jobs and daemons, the last one started first."""
        self.ask("scancel", "--user", pwd.getpwuid(os.geteuid()).pw_name)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=30)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start munged, slurmctld and slurmd; stop them and remove their folder at the end."""
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # munge refuses a socket that others cannot get at
        cluster = Cluster(folder)
        cluster.configure()
        try:
            cluster.start(
                "munged", "--foreground", f"--socket={folder}/munge.socket", f"--key-file={folder}/munge.key",
                f"--pid-file={folder}/munge.pid", f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed",
            )  # fmt: skip
            cluster.wait_for("ls", str(folder), pattern=r"munge\.socket")
            cluster.start("slurmctld", "-D")
            cluster.wait_for("scontrol", "ping", pattern=r"is UP")
            cluster.start("slurmd", "-D")
            cluster.wait_for("sinfo", "--noheader", "--format=%t", pattern=r"^idle$")
            yield cluster
        finally:
            cluster.stop()
