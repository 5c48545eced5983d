"""The training loop of both phases: build, resume, train, log, save."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from shanshui.architectures.generator_networks import Conditioning
from shanshui.architectures.schedule import FullSize, Schedule
from shanshui.backend import ranks
from shanshui.backend.device import on_cpu
from shanshui.backend.lazy import jt
from shanshui.backend.runtime import seed_everything
from shanshui.config.training_settings import PhaseSettings
from shanshui.config.typed_settings import DataSettings
from shanshui.data.loader import Batch, TrainingPairs, batches, steps_per_epoch
from shanshui.errors import ShanshuiError
from shanshui.logs import StatsLog, progress
from shanshui.nn.condition import one_hot_maps
from shanshui.nn.patch_numbering import patches_of, sizes_for_loader
from shanshui.storage.size import Size
from shanshui.training.step import Networks, StepConfig, accumulated_step

if TYPE_CHECKING:
    from jittor import Var
    from tqdm import tqdm


@dataclass(frozen=True)
class PhasePlan:
    """The epochs to train, their data and learning rates.

    `options` are those of the phase, `end` is the epoch at which the learning rates have decayed, `log_every` the
    number of steps between two reads of the losses.
    """

    phase: str
    first_epoch: int
    last_epoch: int
    end: int
    seed: int
    options: PhaseSettings
    data: DataSettings
    crop: Literal["full", "top"]
    schedule: Schedule | FullSize
    log_every: int = 1


def epoch_seed(seed: int, phase: str, epoch: int) -> np.random.SeedSequence:
    """Derive an epoch's seed from the run's, so that an epoch has the same random numbers in every process."""
    return np.random.SeedSequence([seed, {"pretrain": 1, "finetune": 2}[phase], epoch])


def rate_factor(epoch: int, end: int, decay_epochs: int) -> float:
    """Return the factor of the learning rates: 1, then linearly towards 0 over the last `decay_epochs` epochs."""
    return min(1.0, (end + 1 - epoch) / decay_epochs) if decay_epochs else 1.0


def train(
    nets: Networks, step_config: StepConfig, plan: PhasePlan, pairs: TrainingPairs, log: StatsLog | None,
    after_epoch: Callable[[int], None],
) -> None:  # fmt: skip
    """Train epochs `first_epoch` to `last_epoch`, calling `after_epoch` at the end of each.

    MPI ranks train on their rows of every batch; only the first shows progress and has a `log`.

    Raises:
        ShanshuiError: a loss is not finite; what was saved before stays.
    """
    steps = steps_per_epoch(len(pairs), plan.options.batch)
    total = steps * (plan.last_epoch - plan.first_epoch + 1)
    with progress(total, plan.phase, shown=log is not None) as bar:
        for epoch in range(plan.first_epoch, plan.last_epoch + 1):
            started = time.perf_counter()
            means = train_epoch(nets, step_config, plan, pairs, epoch, bar)
            seconds = time.perf_counter() - started
            speed = {"img_per_s": steps * plan.options.batch / seconds, "seconds": seconds}
            if log:
                log.write(epoch, epoch * steps, means | speed, phase=plan.phase)
            after_epoch(epoch)


def train_epoch(
    nets: Networks, step_config: StepConfig, plan: PhasePlan, pairs: TrainingPairs, epoch: int, bar: tqdm
) -> dict[str, float]:
    """Train one epoch; return the mean of every loss term."""
    step = plan.schedule.at(epoch)
    seeds = epoch_seed(plan.seed, plan.phase, epoch)
    seed_everything(int(seeds.generate_state(1)[0]))
    rng = np.random.default_rng(seeds)
    factor = rate_factor(epoch, plan.end, plan.options.lr_decay_epochs)
    nets.opt_g.lr, nets.opt_d.lr = plan.options.lr_g * factor, plan.options.lr_d * factor
    grows = plan.schedule.starts_fade(epoch)
    if grows and not step_config.grow_always:
        nets.discriminator.grow(cast("int", step.level))
    now = step_config if grows else step_config.without_growing()

    data = plan.data
    losses = Losses(plan.phase, epoch)
    num_classes = len(data.classes)
    sizes = nets.generator.patch_sizes(data.size, step)
    parts = batches(
        pairs, plan.options.batch, plan.seed, epoch, data.size, plan.crop, data.flip,
        sizes_for_loader(sizes, num_classes),
        part=(ranks.rank(), ranks.world_size()), extra_inputs=nets.generator.declared.extra_inputs,
        sort=not on_cpu(), accumulate=plan.options.accumulate,
    )  # fmt: skip
    for batch in zip(*[parts] * plan.options.accumulate, strict=True):
        losses.add(accumulated_step(nets, now, step, [to_device(part, num_classes, sizes) for part in batch], rng))
        if nets.average:
            nets.average.update()
        if losses.waiting >= plan.log_every:
            said = " ".join(f"{name} {value:.2f}" for name, value in losses.read().items())
            bar.set_postfix_str(f"epoch {epoch} {said}", refresh=False)
        bar.update()
    return losses.means()


def to_device(batch: Batch, num_classes: int, sizes: Sequence[Size]) -> tuple[Var, Conditioning]:
    """Move photographs, and label maps with patches and additional inputs, to where the networks run."""
    segmap = one_hot_maps(batch.label_map, num_classes)
    patches = patches_of(batch.label_map, sizes, num_classes, batch.patches)
    extra_inputs = {name: jt.array(array) for name, array in batch.extra_inputs.items()}
    return jt.array(batch.real), Conditioning(segmap, patches=patches, **extra_inputs)


class Losses:
    """Loss terms of an epoch's steps, left on the device until they are read, since reading waits for a GPU."""

    def __init__(self, phase: str, epoch: int) -> None:
        self.phase, self.epoch, self.count = phase, epoch, 0
        self.sums: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.unread: list[dict[str, Var]] = []

    @property
    def waiting(self) -> int:
        """Number of steps that have not been read."""
        return len(self.unread)

    def add(self, terms: Mapping[str, Var]) -> None:
        """Add the terms of one more step, by name, detached from the graph they were computed by."""
        self.unread.append({name: term.stop_grad() for name, term in terms.items()})

    def read(self) -> dict[str, float]:
        """Read the terms that wait; return those of the last step, averaged over MPI ranks.

        Raises:
            ShanshuiError: a term is not finite; of MPI ranks, only the first raises.
        """
        for terms in self.unread:
            self.last = ranks.all_reduce_mean({name: float(term.item()) for name, term in terms.items()})
            if ranks.rank() == 0:  # which ends the others with itself, and says why once
                check_finite(self.last, self.phase, self.epoch)
            self.sums = {name: self.sums.get(name, 0.0) + value for name, value in self.last.items()}
            self.count += 1
        self.unread = []
        return self.last

    def means(self) -> dict[str, float]:
        """Return the mean of every term over all steps."""
        self.read()
        return {name: value / self.count for name, value in self.sums.items()}


def check_finite(values: dict[str, float], phase: str, epoch: int) -> None:
    """Check that no loss term is NaN or infinite.

    Raises:
        ShanshuiError: one is.
    """
    broken = [name for name, value in values.items() if not np.isfinite(value)]
    if broken:
        raise ShanshuiError(
            f"training diverged: {', '.join(broken)} is not a number in epoch {epoch} of {phase}",
            "finite losses",
            "lower lr_g and lr_d of this phase; the last good state is kept and will be continued from",
        )
