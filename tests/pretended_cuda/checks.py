"""What is done on the pretended device, and what is asked of its counts: nothing through the host, few launches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

RECIPES = [path.stem for path in (Path(__file__).parents[2] / "config" / "models").glob("*.yaml")]
STEPS = ("fading", "finetuning", "patches", "full_size", "segmenter")
OTHERS = tuple(f"recipe:{name}" for name in ("spade", "clade-icpe", "ccfpse", "oasis", "pix2pixhd"))
SEEN = ("segmenter", "inception", "seen_by:deeplab", "seen_by:segformer")
WORK = tuple(dict.fromkeys([*STEPS, "pictures", "checkpoints", "operations", *SEEN, *OTHERS]))  # functions of `work`
MORE = ("flat", "full", "with_vgg", *sorted({f"recipe:{name}" for name in RECIPES} - {*OTHERS, "recipe:apf-gan"}))

STOPS = ("waits", "copies_down")  # for either the host waits until the device has done all before; so does what
# has no form for a device, which the host does on copies


def through_the_host(counts: Mapping[str, Any]) -> dict[str, int]:
    """How often which of STOPS happened; empty where nothing did."""
    return {name: counts[name] for name in STOPS if counts[name]}


def launched(counts: Mapping[str, Any]) -> int:
    """Kernels that were launched, Jittor's and those of libraries: what the host has to do for a step."""
    return int(counts["launches"] + counts["library_calls"])


def as_line(name: str, counts: Mapping[str, Any]) -> str:
    """For people."""
    numbers = ("launches", "library_calls", *STOPS, "copies_up", "copies_across")
    return f"{name}: " + ", ".join(f"{counts[number]} {number.replace('_', ' ')}" for number in numbers)


def summed_by_atomics(counts: Mapping[str, Any], sources: Iterable[Path]) -> list[str]:
    """Generated kernels among those launched in which several threads add to one number, in whatever order.

    Not those that only move pixels (`reindex_reduce` of a translation): there each number has one summand.
    """
    by_hash = {found[1]: source for source in sources if (found := re.search(r"_hash_([0-9a-f]+)_op$", source.stem))}
    found = []
    for kernel in counts["kernels"]:
        if name := re.match(r"func_([0-9a-f]+)_\d+(?= of )", kernel):
            text = by_hash[name[1]].read_text(encoding="utf-8")
            body = text[text.index(f"{name[0]}(") :].partition("__global__")[0].partition("#pragma GCC")[0]
            if "atomic" in body and "reindex_reduce" not in kernel:
                found.append(kernel)
    return found
