"""Detect training failures that rarely recover from the logged values, and suggest remedies.

The lines of `stats.jsonl` are checked after every epoch, by training itself, by `status` and by the report. The
thresholds are far from the values of sound trainings; a sign is a reason to look, not an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shanshui.logs import StatsLine


VARIETY, SEED_VARIETY = (
    "variety",
    "seed_variety",
)  # of images and of seeds, in stats.jsonl
RUNAWAY = 1000.0  # times the loss of the first epoch, or 1 where that is smaller
IN_ANY_EPOCH = 1e6  # no loss is sound there, even if the first epoch had already run away
WON = 0.02  # D's loss over real and fake; it starts at 2 with the hinge loss
ALIKE = 0.05  # of the difference between the photographs of the same label maps
SAME = 1e-6  # mean difference of images in [-1, 1]: a ten-thousandth of a grey level
YOUNG = 300  # steps before which images may well be alike


@dataclass(frozen=True)
class Sign:
    """A warning sign: its kind, what was found, and what to try."""

    kind: str
    found: str
    do: str

    def __str__(self) -> str:
        return f"{self.found}; to try: {self.do}"


def signs(lines: Sequence[StatsLine]) -> list[Sign]:
    """Detect the signs in the last line of one training: ascending epochs of one phase, at one resolution."""
    return [*_runaway(lines), *_won(lines), *_alike(lines), *_same_for_all_seeds(lines)] if lines else []


def _runaway(lines: Sequence[StatsLine]) -> Iterator[Sign]:
    """Detect losses far above those of the first epoch."""
    first, last = lines[0], lines[-1]
    losses = [name for name, value in last.items() if "/" in name and isinstance(value, int | float)]
    ways = {name: abs(last[name]) / max(1.0, abs(first.get(name, 0.0))) for name in losses}
    if gone := [name for name in losses if ways[name] > RUNAWAY or abs(last[name]) > IN_ANY_EPOCH]:
        said = ", ".join(f"{name} {first.get(name, 0.0):.3g} -> {last[name]:.3g}" for name in gone)
        yield Sign(
            "runaway",
            f"losses have run away since epoch {first['epoch']}: {said}",
            f"lower lr_g and lr_d of {last.get('phase', 'this phase')}; with parity.spectral_norm off, switch it on",
        )


def _won(lines: Sequence[StatsLine]) -> Iterator[Sign]:
    """Detect a discriminator that recognises all fakes while the generator's loss grows."""
    names = ("D/real", "D/fake", "G/adv")
    if len(lines) < 2 or not all(name in line for line in lines[-2:] for name in names):
        return
    before, last = lines[-2], lines[-1]
    lost = last["D/real"], last["D/fake"]
    if min(lost) >= 0 and sum(lost) < WON and last["G/adv"] > before["G/adv"]:
        yield Sign(
            "discriminator",
            f"the discriminator has distinguished all images from photographs throughout epoch {last['epoch']} "
            f"(its loss is {sum(lost):.2g}), and the generator's grows: {before['G/adv']:.3g} -> {last['G/adv']:.3g}",
            "a lower lr_d, a narrower discriminator (its base_channels), finetune.augment, or more pairs",
        )


def _alike(lines: Sequence[StatsLine]) -> Iterator[Sign]:
    """Detect nearly equal images for different label maps (mode collapse)."""
    last = lines[-1]
    if last.get(VARIETY, 1.0) < ALIKE and last.get("step", 0) >= YOUNG:
        yield Sign(
            "alike",
            f"images of different label maps are nearly the same after epoch {last['epoch']}: they differ by "
            f"{100 * last[VARIETY]:.1g} % of what their photographs do",
            "look at samples/; then a lower lr_g and lr_d, or more weight on feature_matching or reconstruction",
        )


def _same_for_all_seeds(lines: Sequence[StatsLine]) -> Iterator[Sign]:
    """Detect equal images for different noise seeds."""
    first, last = lines[0], lines[-1]
    steps = last.get("step", 0) - first.get("step", 0)  # noise by class begins at zero in every fine-tuning
    if last.get(SEED_VARIETY, 1.0) < SAME and steps >= YOUNG:
        yield Sign(
            "seeds",
            f"other noise seeds give the same images after epoch {last['epoch']}",
            "a single seed in infer.seeds, which spares time; for styles, a lower kl",
        )
