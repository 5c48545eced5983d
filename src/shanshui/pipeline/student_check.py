"""Check of the students' shares before a run: whether the chosen generator can be made that small.

The networks are built in a child process, as those of `network_counts`, and the result is stored in the cache. Where
Jittor is not compiled yet, the job `doctor` checks again, before anything is trained.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from shanshui.architectures.registry import generator_of
from shanshui.backend.runtime import cache_home, load_jittor
from shanshui.compression.methods import METHODS
from shanshui.config.schema import Config
from shanshui.config.settings import validate
from shanshui.errors import ShanshuiError
from shanshui.pipeline.code_dependencies import code_digest, sources
from shanshui.pipeline.finding import Finding
from shanshui.pipeline.network_counts import run_child, settings_of, write_in_child
from shanshui.storage.files import digest, read_json
from shanshui.storage.size import Size

CHECKED_BY = "shanshui.compression.methods"
CHILD = """
import json, sys
from pathlib import Path
from shanshui.pipeline.student_check import check_in_child
check_in_child(json.loads(sys.argv[1]), Path(sys.argv[2]))
"""
NAME = "students"


def examine(config: Config) -> list[Finding]:
    """Check all shares of a configuration; nothing without students."""
    compress = config.compress
    if not compress.shares:
        return []
    settings = {**settings_of(config), "method": compress.method, "shares": compress.shares}
    code = code_digest(sources().dependencies(CHECKED_BY))
    file = cache_home() / "students" / f"{digest([settings, code])}.json"
    reason = "" if file.is_file() else run_child(CHILD, settings, file)
    try:
        found, do = read_json(file)
    except (OSError, ShanshuiError):
        return [Finding(NAME, "note", f"not known yet whether the shares can be reached: {reason}")]
    if found and compress.count == "dense":
        return [Finding(NAME, "gap", f"compress.shares: {found}", do)]
    return [Finding(NAME, "ok", f"shares {', '.join(f'{share:g}' for share in compress.shares)} can be reached")]


def examine_plan(file: Path) -> list[Finding]:
    """Check a run that has started, now that its networks can be built."""
    plan = json.loads(file.read_text(encoding="utf-8"))
    return examine(validate(plan["config"], str(file), given={}))


def check_in_child(settings: Mapping[str, object], file: Path) -> None:
    """Write what is wrong with the shares, and what to do; empty texts if nothing is."""
    write_in_child(lambda: problem(settings), file)


def problem(settings: Mapping[str, object]) -> list[str]:
    """Return what is wrong with the first share that cannot be reached and what to do, or two empty texts."""
    load_jittor()
    generator = generator_of(settings).in_phase(0, bool(settings["seg_noise"]))
    data = cast("Mapping[str, int]", settings["data"])
    method = METHODS[str(settings["method"])]
    for share in cast("list[float]", settings["shares"]):
        try:
            method.check(generator, share, Size(data["height"], data["width"]))
        except ShanshuiError as error:
            return [f"{error.found}, {error.expected}", error.do]
    return ["", ""]
