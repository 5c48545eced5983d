"""Import of Jittor: the only place where device, compiler cache and seed are set up.

`import jittor` on its own reads and writes `~/.cache/jittor/config.json`, downloads oneDNN, crashes
where nvcc exists without a CUDA driver, takes over Ctrl-C, and switches certificate checks off for the
whole process. `load_jittor()` gives every stage the same quiet, private, offline Jittor instead.

The number of threads is set from outside: OMP_NUM_THREADS, which the rules set to Snakemake's `threads`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import ssl
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from shanshui.backend.compilation import compile_core, environment_key, forget, import_lock, is_compiled
from shanshui.backend.cpu_forms import use_cpu_forms
from shanshui.backend.cuda_compat import assemble
from shanshui.backend.cuda_forms import use_cuda_forms
from shanshui.backend.device import Device, cuda_identities, find_device
from shanshui.backend.gpu_lock import acquire_gpu
from shanshui.backend.lazy import attach
from shanshui.backend.mpi import find_mpi, inside_mpi
from shanshui.backend.toolchain import (
    CACHE_NAME,
    find_compiler,
    jittor_finds_python_config,
    kernel_folder,
    onednn_prefix,
    write_kernel_compiler,
    write_python_config,
)
from shanshui.backend.waiting import spins_when_nice
from shanshui.errors import ShanshuiError
from shanshui.storage.files import digest, temporary_name
from shanshui.storage.names import home_folder

__all__ = ["Device", "cache_home", "compile_for_ranks", "find_device", "load_jittor", "seed_everything"]

ONEDNN_FOLDER = "dnnl_lnx_2.2.0_cpu_gomp"  # the folder Jittor 1.3.11 looks for before it downloads
NEWEST_CAPABILITY = (9, 0)  # of CUDA devices that Jittor 1.3.11 makes machine code for
LEAST_FREE = 500 * 1024**2  # bytes; compiled kernels of a whole run take about 450 MB
_loaded: ModuleType | None = None
_loading = threading.RLock()


def cache_home() -> Path:
    """Return the folder of compiled code: $SHANSHUI_CACHE, else $XDG_CACHE_HOME/shanshui, else ~/.cache/shanshui."""
    if chosen := os.environ.get("SHANSHUI_CACHE"):
        return (home_folder() / chosen[2:] if chosen.startswith("~/") else Path(chosen)).resolve()
    base = os.environ.get("XDG_CACHE_HOME") or home_folder() / ".cache"
    return (Path(base) / "shanshui").resolve()


def link_onednn(home: Path) -> Path:
    """Link the pinned oneDNN to where Jittor looks for it under `home`, so that nothing is downloaded."""
    prefix = onednn_prefix()
    target = home / ".cache" / "jittor" / "mkl" / ONEDNN_FOLDER
    target.mkdir(parents=True, exist_ok=True)
    for name in ("include", "lib"):
        link = target / name
        if not (link.is_symlink() and link.resolve() == (prefix / name).resolve()):
            staged = temporary_name(link)
            staged.symlink_to(prefix / name)
            os.replace(staged, link)
    return target


def alias(folder: Path, home: Path) -> Path:
    """Create a link to `folder` under `home`, for where Jittor forgets quotes around a path with spaces."""
    link = home / f"jittor-{digest(str(folder))}"
    if not link.is_symlink():
        with contextlib.suppress(FileExistsError):
            link.symlink_to(folder)
    return link


def cuda_environment(home: Path, device: Device) -> dict[str, str]:
    """Return the variables for CUDA: the assembled toolkit, no downloads, and code for devices newer than Jittor."""
    if device.toolkit is None:
        return {"nvcc_path": ""}
    ours = {"nvcc_path": str(assemble(device.toolkit, home)), "use_cutt": "0", "use_cutlass": "0"}
    if device.capability > NEWEST_CAPABILITY:  # machine code, and an intermediate form that the driver translates
        ours["nvcc_flags"] = "-code=compute_{}{}".format(*NEWEST_CAPABILITY)
    return ours


def jittor_environment(home: Path, device: Device, mpi: bool = False) -> dict[str, str]:
    """Return the variables under which Jittor keeps to `home` and to the chosen device.

    HOME and JITTOR_HOME both point to `home`: Jittor then neither reads nor writes the sticky
    `~/.cache/jittor/config.json` of the user. MPI is set up only where `mpi` asks for it: Jittor would otherwise
    compile more wherever an mpicc is installed.
    """
    ours = {
        "HOME": str(home),
        "JITTOR_HOME": str(home),
        "cache_name": CACHE_NAME,
        "cc_path": find_compiler().path,
        **cuda_environment(home, device),
        "use_parallel_op_compiler": "0",
        "log_silent": os.environ.get("log_silent", "1"),
        "FIX_TORCH_ERROR": "0",  # do not import torch, were it installed
    }
    ours |= find_mpi().variables if mpi else {"mpicc_path": ""}
    if not jittor_finds_python_config():
        ours["python_config_path"] = str(write_python_config(home))
    return ours


@contextlib.contextmanager
def applied(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables while Jittor is imported; restore environment, certificate checks and signal handlers after."""
    before = {name: os.environ.get(name) for name in variables}
    checked_context = ssl._create_default_https_context
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGCHLD, signal.SIGQUIT)}
    os.environ.update(variables)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "invalid escape sequence")  # in Jittor's docstrings
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        ssl._create_default_https_context = checked_context  # Jittor replaces it by an unverified one
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                if handler is not None:  # Ctrl-C must reach Python: training saves its state then
                    signal.signal(number, handler)


def check_space(home: Path) -> None:
    """Check that the disk of the cache has room for compiled kernels.

    Raises:
        ShanshuiError: below 500 MiB.
    """
    free = shutil.disk_usage(home).free
    if free < LEAST_FREE:
        raise ShanshuiError(
            f"only {free // 1024**2} MB are free on the disk of Jittor's cache {home}",
            f"{LEAST_FREE // 1024**2} MB for compiled kernels",
            "free some space, or put the cache elsewhere: export SHANSHUI_CACHE=/some/folder",
        )


def compile_for_ranks() -> None:
    """Compile Jittor with its MPI operators, in a process without MPI.

    Ranks only import what is ready: the import waits until all ranks have reached it, so that none may keep
    the others from it while it compiles.
    """
    home, device, key = cache_home() / "jittor", find_device(), environment_key(find_mpi().version)
    with import_lock(home):
        check_space(home)
        link_onednn(home)
        if not is_compiled(home, key):
            compile_core(home, jittor_environment(home, device, mpi=True), key)


def _import_jittor(parallel_compile: bool) -> ModuleType:
    device = find_device()
    if device.kind == "cuda":
        acquire_gpu(cuda_identities())  # before anything here initialises CUDA
    home = cache_home() / "jittor"
    key = environment_key()
    rank = inside_mpi()
    for kind in (np.float32, np.float64):  # NumPy looks once; Jittor's libraries switch subnormal numbers off,
        np.finfo(kind)  # which it would warn of
    with import_lock(home, shared=rank):
        check_space(home)
        onednn = link_onednn(home)
        variables = jittor_environment(home, device, mpi=rank)
        if not rank and not is_compiled(home, key):
            compile_core(home, variables, key)
        try:
            spins = spins_when_nice(os.environ, os.nice(0))
            with applied({**variables, **spins, "DISABLE_MULTIPROCESSING": "1"}):  # else it forks idle workers
                import jittor
        except (Exception, SystemExit) as error:
            forget(home, environment_key(find_mpi().version) if rank else key)
            raise ShanshuiError(
                f"Jittor cannot be imported: {str(error).strip() or type(error).__name__}",
                "the compiled Jittor in " + str(home),
                "the same command again compiles what changed; then `python -m shanshui doctor --compile`",
            ) from error
        compiler = write_kernel_compiler(home, key)
        jittor.flags.python_path = f'"{compiler}"'
        jittor.flags.cache_path = str(kernel_folder(Path(jittor.flags.cache_path), compiler))
        if " " in jittor.flags.jittor_path:
            jittor.flags.jittor_path = str(alias(Path(jittor.flags.jittor_path), home))
    jittor.flags.use_parallel_op_compiler = len(os.sched_getaffinity(0)) if parallel_compile else 0
    jittor.flags.use_cuda = 1 if device.kind == "cuda" else 0
    module: ModuleType = jittor
    if device.kind == "cuda":
        use_cuda_forms(module)
    else:
        use_cpu_forms(module, alias(onednn, home) if " " in str(onednn) else onednn)
    attach(module)
    return module


def load_jittor(parallel_compile: bool = False) -> ModuleType:
    """Import Jittor for this process and return it; later calls return the same.

    Args:
        parallel_compile: compile kernels in parallel. Only kernel precompilation may ask for it: with several
            Jittor processes at a time its threads deadlock at exit (measured in 14 % of starts).

    Raises:
        ShanshuiError: where compiler, headers, oneDNN or disk space are missing, before it compiles.
    """
    global _loaded
    with _loading:
        if _loaded is None:
            _loaded = _import_jittor(parallel_compile)
        return _loaded


def seed_everything(seed: int) -> None:
    """Seed Jittor (which seeds `random` and NumPy too) with `seed`, on all MPI ranks alike."""
    load_jittor().set_global_seed(seed % (2**31), different_seed_for_mpi=False)
