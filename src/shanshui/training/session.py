"""Training of one phase with its files: networks, resuming, states, weights and sample grids."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from shanshui.architectures.base import LossConfig
from shanshui.architectures.networks import adopt, build_discriminator, build_generator
from shanshui.architectures.registry import discriminator_of
from shanshui.architectures.schedule import schedule
from shanshui.backend import ranks
from shanshui.backend.lazy import jt
from shanshui.backend.modules import gather, gather_optimizer, restore, restore_optimizer
from shanshui.backend.runtime import seed_everything
from shanshui.data.labels import Classes
from shanshui.data.loader import TrainingPairs
from shanshui.data.prepared import prepared_digests
from shanshui.logs import StatsLog
from shanshui.storage import checkpoint, images
from shanshui.storage.checkpoint import Arrays, Checkpoint, prefixed
from shanshui.storage.files import digest
from shanshui.storage.size import Size
from shanshui.synthesis.synthesizer import Synthesizer
from shanshui.training.fakes import StyleLoss
from shanshui.training.loop import Plan, train
from shanshui.training.moving_average import MovingAverage
from shanshui.training.optim import adam
from shanshui.training.perceptual import perceptual_loss
from shanshui.training.resume import ResumeFolder, resume_folder, state_file
from shanshui.training.samples import Samples, difference, read_samples, variety
from shanshui.training.step import Networks, StepConfig
from shanshui.training.warning_signs import SEED_VARIETY, VARIETY, signs

Settings = dict[str, Any]


def first_seed(seed: int, phase: str) -> int:
    """Seed of a phase's fresh weights; those of its epochs have other streams (`training.loop.epoch_seed`)."""
    stream = {"pretrain": 8, "finetune": 9}[phase]
    return int(np.random.SeedSequence([seed, 0, stream]).generate_state(1)[0])


class Session:
    """One phase's networks and where they are kept.

    Args:
        phase: "pretrain" or "finetune".
        settings: the stage's settings.
        args: of the stage; `args.start` is the state to begin from, or None. It is read where no later one is kept.
    """

    def __init__(self, phase: str, settings: Settings, args: argparse.Namespace) -> None:
        self.phase, self.settings, self.args = phase, settings, args
        self.numbers: Settings = settings[phase]
        self.sizes = discriminator_of(settings).output_sizes
        self.schedule = schedule(settings["pretrain_epochs"], self.sizes)
        self.samples: Samples = read_samples(
            args.samples, settings["data"], instances=settings["model"].get("instances", False)
        )
        seed_everything(first_seed(settings["seed"], phase))
        self.nets = self._networks()

    def _networks(self) -> Networks:
        """Fresh networks."""
        pretraining = self.phase == "pretrain"
        seg_noise = not pretraining and self.numbers.get("seg_noise", False)
        generator = build_generator(self.settings, seg_noise, heads=self.sizes - 1 if pretraining else 0)
        discriminator = build_discriminator(self.settings)
        betas = self.numbers["beta1"], self.numbers["beta2"]
        opt_g = adam(generator.networks().values(), self.numbers["lr_g"], betas)
        return Networks(generator, discriminator, opt_g, adam([discriminator.D], self.numbers["lr_d"], betas))

    def _begin(self, start: Checkpoint) -> None:
        """Take over the weights of the state before this phase, and in pretraining its optimisers too."""
        if self.phase == "pretrain":
            self._restore(start)
            return
        declared = self.nets.generator.declared
        for letter, network in self.nets.parts().items():
            fresh, dropped = (declared.fresh, declared.dropped) if letter == "G" else ((), ())
            adopt(network, start.part(letter), str(self.args.start), fresh, dropped)
        self.nets.average = self._average()

    def _restore(self, state: Checkpoint) -> None:
        """Continue from a state of this phase, or of the resolution before."""
        nets = self.nets
        for letter, network in nets.parts().items():
            restore(network, state.part(letter), f"training state ({letter})")
        restore_optimizer(nets.opt_g, state.part("opt_g"), "training state (opt_g)")
        restore_optimizer(nets.opt_d, state.part("opt_d"), "training state (opt_d)")
        nets.average = self._average()
        if nets.average:
            nets.average.restore(state.part("average"), "training state (average)")

    def _average(self) -> MovingAverage | None:
        """A moving average that begins at the weights as they are, where the settings have one."""
        decay = self.numbers.get("ema")
        return MovingAverage(self.nets.generator.networks(), decay) if decay else None

    @property
    def writes(self) -> bool:
        """Whether this process writes the results: of MPI ranks, which all have them, the first."""
        return ranks.rank() == 0

    # --- what is written ----------------------------------------------------------------------------------

    def meta(self, epoch: int) -> Settings:
        """Metadata of the weights after `epoch`: all that generating needs, and where they come from."""
        step = self.schedule.at(epoch)
        named = ("data", "model", "encoder", "discriminator", "parity", "preset", "seed")
        return {
            **{name: self.settings[name] for name in named if name in self.settings},
            "phase": self.phase,
            "epoch": epoch,
            "training": self.numbers,
            "device": "cuda" if jt.flags.use_cuda else "cpu",
            **self.nets.generator.declared.extra_header(),
            "level": step.level,
            "alpha": step.alpha,
        }

    def weights(self) -> Arrays:
        """G and E."""
        return _arrays(self.nets.generator.networks())

    def state(self) -> Arrays:
        """Everything training continues from; random numbers are derived from seed and epoch."""
        optimizers = prefixed("opt_g", gather_optimizer(self.nets.opt_g)) | prefixed(
            "opt_d", gather_optimizer(self.nets.opt_d)
        )
        average = prefixed("average", self.nets.average.state()) if self.nets.average else {}
        return _arrays(self.nets.parts()) | optimizers | average

    def write_sample_grid(self, epoch: int) -> dict[str, float]:
        """Sample grid after `epoch`; how much its images differ, and the first one under two seeds."""
        if not len(self.samples):
            return {}
        generator, samples, seed, data = self.nets.generator, self.samples, self.settings["seed"], self.settings["data"]
        for network in generator.networks().values():
            network.eval()
        size = Size(data["height"], data["width"])
        synthesizer = Synthesizer(generator, Classes.of(data), size, self.schedule.at(epoch))

        def drawn(part: slice, seed: int) -> np.ndarray:
            instances = None if samples.instances is None else samples.instances[part]
            return synthesizer.generate(samples.label_maps[part], samples.names[part], seed, instances=instances)

        fakes = drawn(slice(None), seed)
        found = {VARIETY: variety(samples, fakes)}
        if synthesizer.accepts.seed:
            found[SEED_VARIETY] = difference(fakes[:1], drawn(slice(1), seed + 1))
        for network in generator.networks().values():
            network.train()
        images.write_image(self.args.look / "samples" / self.phase / f"epoch_{epoch:03d}.png", samples.grid(fakes))
        return {name: value for name, value in found.items() if value is not None}

    # --- running --------------------------------------------------------------------------------------------

    def run(self, first_epoch: int, last_epoch: int, end: int, folder: Path) -> None:
        """Train up to `last_epoch` from the newest usable state, else from `first_epoch`; leave the networks there.

        Args:
            end: epoch at which the phase ends, for the decay of the learning rate.
            folder: where stats.jsonl and events go.
        """
        files = [self.args.photos, self.args.label_maps, *([self.args.instances] if self.args.instances else [])]
        pairs = TrainingPairs(*(np.load(file, mmap_mode="r") for file in files))
        step_config = self._step_config()
        origin = checkpoint.identity(self.args.start) if self.args.start else "fresh"
        of_data = prepared_digests([files[1], files[0], *files[2:]], self.args.digests)
        key = digest([self.settings, origin, *of_data])
        with contextlib.ExitStack() as held:
            states = held.enter_context(resume_folder(self.args.resume, key)) if self.writes else None
            found = states.latest(upto=last_epoch) if states else None
            begin = first_epoch
            if saved := ranks.broadcast(found[0] if found else 0):
                begin = saved + 1
                file = state_file(Path(self.args.resume) / key, saved)
                self._restore(found[1] if found else checkpoint.load(file))
            elif self.args.start:
                self._begin(checkpoint.load(self.args.start))
            plan = Plan(
                self.phase, begin, last_epoch, end, self.settings["seed"], self.numbers, self.settings["data"],
                self.settings["parity"]["crop"], self.schedule, self.args.log_every,
            )  # fmt: skip
            log = StatsLog(folder, begin) if states else None
            train(self.nets, step_config, plan, pairs, log, self._epoch_end(states, last_epoch, log))
            if log:
                log.close()

    def _epoch_end(self, states: ResumeFolder | None, last_epoch: int, log: StatsLog | None) -> Callable[[int], None]:
        """What happens after every epoch: a sample grid, and a state when the last is old enough; without, nothing.

        What the numbers show that is a reason to look is said once.
        """
        saved_at, warned = time.monotonic(), set[str]()

        def after_epoch(epoch: int) -> None:
            nonlocal saved_at
            if states is None or log is None:
                return
            for sign in signs(log.amend(self.write_sample_grid(epoch))):
                if sign.kind not in warned:
                    warned.add(sign.kind)
                    print(f"warning: {sign}", file=sys.stderr, flush=True)
            due = time.monotonic() - saved_at >= 60 * self.args.snapshot_minutes
            if due or epoch == last_epoch:
                states.save(epoch, self.state(), self.meta(epoch))
                saved_at = time.monotonic()

        return after_epoch

    def _step_config(self) -> StepConfig:
        numbers, parity = self.numbers, self.settings["parity"]
        weights = {
            "feat": numbers.get("feature_matching", 0.0),
            "rec": numbers["reconstruction"],
            "perceptual": numbers["perceptual"]["weight"],
        }
        loss_config = LossConfig(
            weights, perceptual_loss(numbers["perceptual"]["net"], self.args.perceptual, parity),
            numbers.get("gan", "hinge"), numbers.get("label_mix", 0.0),
        )  # fmt: skip
        style = StyleLoss(numbers.get("kl", 0.0), numbers.get("kl_reduction", "sum"))
        return StepConfig(
            loss_config, tuple(numbers.get("augment", ())), style, parity["loss_resize"] == "bilinear",
            parity["grow_copy"] == "every_forward",
        )  # fmt: skip


def _arrays(networks: dict[str, Any]) -> Arrays:
    """All parameters and buffers of networks by letter."""
    return {
        name: array for letter, network in networks.items() for name, array in prefixed(letter, gather(network)).items()
    }
