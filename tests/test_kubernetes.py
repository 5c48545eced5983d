"""profiles/kubernetes against a stand-in for kubectl: what is asked of the cluster, and how its answers are read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

PROFILE = Path(__file__).resolve().parent.parent / "profiles" / "kubernetes"
KUBECTL = """#!/bin/sh
echo "$@" >> "$LOG/asked"
case "$1" in
create) cat > "$LOG/manifest.json" ;;
get) echo "$ANSWER"; exit "$CODE" ;;
esac
"""


def call(folder: Path, program: str, *arguments: str, **environment: str) -> str:
    """What a program of the profile prints, with the stand-in first on the PATH."""
    kubectl = folder / "kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [str(PROFILE / program), *arguments], env={"PATH": path, "LOG": str(folder), **environment},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def submitted(folder: Path, **resources: object) -> tuple[str, dict[str, Any]]:
    """Name and manifest of a job of the rule score_seed."""
    script = folder / "job 1.sh"
    job = {"rule": "score_seed", "threads": 8, "resources": {"mem_mb": 16000, **resources}}
    script.write_text(f"#!/bin/sh\n# properties = {json.dumps(job)}\ncd /shared\n")
    name = call(folder, "submit", str(script), SHANSHUI_CACHE="/shared/cache")
    return name, json.loads((folder / "manifest.json").read_text())


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    (only,) = manifest["spec"]["template"]["spec"]["containers"]
    return dict(only)


def test_job_runs_the_script_under_its_own_name(tmp_path: Path) -> None:
    name, manifest = submitted(tmp_path)
    assert manifest["metadata"]["name"] == name
    assert name.startswith("shanshui-score-seed-")
    assert len(name) <= 63
    assert container(manifest)["command"] == ["/bin/sh", str(tmp_path / "job 1.sh")]
    assert container(manifest)["env"] == [{"name": "SHANSHUI_CACHE", "value": "/shared/cache"}]
    assert manifest["spec"]["backoffLimit"] == 0


@pytest.mark.parametrize(("gpu", "devices"), [(1, {"nvidia.com/gpu": 1}), (0, {}), (None, {})])
def test_gpu_is_a_limit_and_only_where_one_is_wanted(gpu: int | None, devices: dict[str, int], tmp_path: Path) -> None:
    _, manifest = submitted(tmp_path, **({} if gpu is None else {"gpu": gpu}))
    asked = container(manifest)["resources"]
    assert asked == {"requests": {"cpu": "8", "memory": "16000M"}, "limits": {"memory": "16000M", **devices}}


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [
        ("found /", 0, "running"),
        ("found 1/", 0, "success"),
        ("found /1", 0, "failed"),
        ("", 0, "failed"),
        ("", 1, "running"),
    ],
    ids=["not ended", "succeeded", "failed", "removed", "no answer"],
)
def test_status(answer: str, code: int, status: str, tmp_path: Path) -> None:
    assert call(tmp_path, "status", "job-1", ANSWER=answer, CODE=str(code)) == status


def test_cancel_removes_all_that_are_named(tmp_path: Path) -> None:
    call(tmp_path, "cancel", "job-1", "job-2")
    assert (tmp_path / "asked").read_text().split()[-2:] == ["job-1", "job-2"]


def test_profile_template_and_cluster_agree() -> None:
    profile = yaml.safe_load((PROFILE / "config.yaml").read_text())
    commands = [value for key, value in profile.items() if key.endswith("-cmd")]
    assert all(os.access(PROFILE / command, os.X_OK) for command in commands)
    template = yaml.safe_load((PROFILE / "job.yaml").read_text())["spec"]["template"]["spec"]
    claim, *_, pod = yaml.safe_load_all((PROFILE / "cluster.yaml").read_text())
    assert template["volumes"] == pod["spec"]["volumes"]
    assert template["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    for key in ("image", "volumeMounts"):
        assert template["containers"][0][key] == pod["spec"]["containers"][0][key]
