"""Collect what a bare GPU machine without network lacks: wheels for its Python, reference outputs, label maps.

    python benchmarks/gpu/kit.py [--into .gpu] [--golden DIR] [--labels DIR]

Carry the folder and the working tree there, then: python3 benchmarks/gpu/check.py --kit .gpu --out DIR. The machine is
expected to have a CUDA driver with a toolkit, PyTorch with NVIDIA's wheels, and Python of the given version with
pillow, psutil, pyyaml, safetensors, jinja2, tqdm, matplotlib, pytest and scipy. Versions are those of the lock.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WANTED = (
    "numpy", "pydantic", "pydantic-core", "annotated-types", "typing-inspection", "typing-extensions", "astunparse",
    "six", "wheel", "onednn-cpu-gomp", "onednn-devel-cpu-gomp", "tensorboardx", "tabulate", "python-dateutil",
)  # fmt: skip
GLIBCS = (28, 27, 24, 17, 12, 5)
ONE_LIBRARY = "/libdnnl.so.2"  # oneDNN's wheel holds it six times over


def pinned(names: tuple[str, ...]) -> list[str]:
    """Requirements of the lock for packages; SystemExit where one is not in it."""
    lock = (ROOT / "envs" / "requirements.lock").read_text(encoding="utf-8")
    versions = dict(re.findall(r"^([a-z0-9_.-]+)==([^ \\]+)", lock, re.MULTILINE))
    if missing := [name for name in names if name not in versions]:
        raise SystemExit(f"not in envs/requirements.lock: {', '.join(missing)}")
    return [f"{name}=={versions[name]}" for name in names]


def download(into: Path, version: str) -> None:
    """Fetch wheels for another machine's Python; Jittor comes as source, of which a wheel of Python alone is built."""
    platforms = [f"manylinux_2_{n}_x86_64" for n in GLIBCS] + [f"manylinux{n}_x86_64" for n in ("2014", "2010", "1")]
    pip = [sys.executable, "-m", "pip"]
    for_python = ["--only-binary=:all:", "--implementation", "cp", "--python-version", version]
    for_python += [part for platform in platforms for part in ("--platform", platform)]
    download = [*pip, "download", "--quiet", "--no-deps", *for_python, "--dest", str(into)]
    subprocess.run([*download, *pinned(WANTED)], check=True)
    if not list(into.glob("jittor-*.whl")):
        subprocess.run(
            [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(into), *pinned(("jittor",))], check=True
        )


def slim(wheel: Path) -> None:
    """Leave five of oneDNN's six equal libraries out; `check.py` makes links of them."""
    with zipfile.ZipFile(wheel) as whole:
        twins = {n for n in whole.namelist() if "/data/lib/" in n and not n.endswith(ONE_LIBRARY)}
        if not twins:
            return
        staged = wheel.with_suffix(".slim")
        with zipfile.ZipFile(staged, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as small:
            for name in whole.namelist():
                data = whole.read(name)
                if name.endswith(".dist-info/RECORD"):
                    data = b"".join(row for row in data.splitlines(True) if row.split(b",")[0].decode() not in twins)
                if name not in twins:
                    small.writestr(name, data)
    staged.replace(wheel)


def copy_headers(into: Path, version: str) -> None:
    """Pack this machine's headers of that Python, for a machine that has none."""
    folders = [Path(f"/usr/include/python{version}"), Path(sysconfig.get_path("include"))]
    folders += Path.home().glob(f".pyenv/versions/{version}*/include/python{version}")
    found = next((f for f in folders if f.name == f"python{version}" and (f / "Python.h").is_file()), None)
    if found:
        shutil.make_archive(str(into / "python-headers"), "gztar", found.parent, found.name)


def copy_some(source: Path, pattern: str, into: Path, most: int) -> None:
    """Copy every n-th file of a folder so that at most `most` come along."""
    files = sorted(source.glob(pattern))
    into.mkdir(parents=True, exist_ok=True)
    for file in files[:: max(1, -(-len(files) // most))]:
        shutil.copy(file, into / file.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=ROOT / ".gpu")
    parser.add_argument("--python", default="3.12", help="version of Python on the other machine (default 3.12)")
    parser.add_argument("--golden", type=Path, help="folder of whole reference outputs; otherwise samples are compared")
    parser.add_argument("--labels", type=Path, help="folder of label maps to measure with; else landscapes are drawn")
    args = parser.parse_args()
    wheels = args.into / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    download(wheels, args.python)
    for wheel in wheels.glob("onednn_cpu_gomp-*.whl"):
        slim(wheel)
    copy_headers(args.into, args.python)
    if args.golden:
        for pattern in ("apf_*.[nj]*", "spade_*.[nj]*", "fid_*.[nj]*", "weights.py"):
            copy_some(args.golden, pattern, args.into / "golden", 1000)
    if args.labels:
        copy_some(args.labels, "*.png", args.into / "labels", 12)
    total = sum(file.stat().st_size for file in args.into.rglob("*") if file.is_file())
    print(f"{args.into}: {total / 2**20:.1f} MiB, {len(list(wheels.glob('*.whl')))} wheels")


if __name__ == "__main__":
    main()
