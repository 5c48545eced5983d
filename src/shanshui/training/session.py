"""Training of one phase with its files: networks, resuming, states, weights and sample images."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shanshui.architectures.base import LossConfig
from shanshui.architectures.networks import adopt, init_discriminator, init_generator
from shanshui.architectures.schedule import schedule
from shanshui.backend import ranks
from shanshui.backend.arithmetic import use
from shanshui.backend.lazy import jt
from shanshui.backend.modules import gather, gather_optimizer, restore, restore_optimizer
from shanshui.backend.runtime import seed_everything
from shanshui.config.training_settings import TrainingConfig
from shanshui.data.loader import TrainingPairs
from shanshui.data.prepared import prepared_digests
from shanshui.logs import StatsLog
from shanshui.storage import checkpoint
from shanshui.storage.checkpoint import Arrays, Checkpoint, Meta, prefixed
from shanshui.storage.files import digest
from shanshui.synthesis.synthesizer import Synthesizer
from shanshui.training.arguments import TrainingFiles
from shanshui.training.fakes import StyleLoss
from shanshui.training.loop import PhasePlan, train
from shanshui.training.moving_average import MovingAverage
from shanshui.training.optim import adam
from shanshui.training.perceptual import perceptual_loss
from shanshui.training.resume import ResumeFolder, resume_folder, state_file
from shanshui.training.samples import Samples, difference, read_samples, variety
from shanshui.training.step import Networks, StepConfig
from shanshui.training.warning_signs import SEED_VARIETY, VARIETY, signs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jittor import Module


def first_seed(seed: int, phase: str) -> int:
    """Derive the seed of a phase's initial weights; its epochs have other streams (`training.loop.epoch_seed`)."""
    stream = {"pretrain": 8, "finetune": 9}[phase]
    return int(np.random.SeedSequence([seed, 0, stream]).generate_state(1)[0])


class Session:
    """Networks, states and files of one phase.

    Args:
        config: settings of the phase.
        files: inputs and outputs; `files.start` is the state to start from, or None. It is read if no later one is
            kept.
    """

    def __init__(self, config: TrainingConfig, files: TrainingFiles) -> None:
        use(config.options.arithmetic)
        self.config, self.files = config, files
        self.sizes = config.networks.discriminator.output_sizes
        self.schedule = schedule(config.pretrain_epochs, self.sizes)
        self.samples: Samples = read_samples(files.samples, config.data, instances=config.networks.generator.instances)
        seed_everything(first_seed(config.seed, config.phase))
        self.nets = self._networks()

    def _networks(self) -> Networks:
        """Build networks and optimisers with initial weights."""
        declared, options = self.config.networks, self.config.options
        heads = self.sizes - 1 if self.config.phase == "pretrain" else 0
        generator = init_generator(declared.generator, options.seg_noise, heads, options.init_gain)
        discriminator = init_discriminator(declared.discriminator, options.init_gain)
        betas = options.beta1, options.beta2
        opt_g = adam(generator.networks().values(), options.lr_g, betas)
        return Networks(generator, discriminator, opt_g, adam([discriminator.D], options.lr_d, betas))

    def _begin(self, start: Checkpoint) -> None:
        """Load the weights of the state before this phase and, in pretraining, of its optimisers."""
        if self.config.phase == "pretrain":
            self._restore(start)
            return
        declared = self.nets.generator.declared
        for letter, network in self.nets.parts().items():
            fresh, dropped = (declared.fresh, declared.dropped) if letter == "G" else ((), ())
            adopt(network, start.part(letter), str(self.files.start), fresh, dropped)
        self.nets.average = self._average()

    def _restore(self, state: Checkpoint) -> None:
        """Restore a state of this phase, or of the resolution before."""
        nets = self.nets
        for letter, network in nets.parts().items():
            restore(network, state.part(letter), f"training state ({letter})")
        restore_optimizer(nets.opt_g, state.part("opt_g"), "training state (opt_g)")
        restore_optimizer(nets.opt_d, state.part("opt_d"), "training state (opt_d)")
        nets.average = self._average()
        if nets.average:
            nets.average.restore(state.part("average"), "training state (average)")

    def _average(self) -> MovingAverage | None:
        """Create a moving average that starts at the present weights, if the settings have one."""
        decay = self.config.options.ema
        return MovingAverage(self.nets.generator.networks(), decay) if decay else None

    @property
    def writes(self) -> bool:
        """Whether this process writes the results: of MPI ranks, which all have them, the first."""
        return ranks.rank() == 0

    # --- what is written ----------------------------------------------------------------------------------

    def meta(self, epoch: int) -> Meta:
        """Return the metadata of the weights after `epoch`: all that generating needs, and their origin."""
        step, source = self.schedule.at(epoch), self.config.source
        named = ("data", "model", "parity", "preset", "seed")
        return {
            **{name: source[name] for name in named if name in source},
            "phase": self.config.phase,
            "epoch": epoch,
            "training": source[self.config.phase],
            "device": "cuda" if jt.flags.use_cuda else "cpu",
            **self.config.options.arithmetic.record(),
            **self.nets.generator.declared.extra_header(),
            "level": step.level,
            "alpha": step.alpha,
        }

    def weights(self) -> Arrays:
        """Return the arrays of G and E."""
        return _arrays(self.nets.generator.networks())

    def state(self) -> Arrays:
        """Return everything training resumes from; random numbers are derived from seed and epoch."""
        optimizers = prefixed("opt_g", gather_optimizer(self.nets.opt_g)) | prefixed(
            "opt_d", gather_optimizer(self.nets.opt_d)
        )
        average = prefixed("average", self.nets.average.state()) if self.nets.average else {}
        return _arrays(self.nets.parts()) | optimizers | average

    def write_samples(self, epoch: int) -> dict[str, float]:
        """Write the sample images after `epoch`; return the diversity of its images over label maps and over seeds."""
        if not len(self.samples):
            return {}
        generator, samples, seed, data = self.nets.generator, self.samples, self.config.seed, self.config.data
        for network in generator.networks().values():
            network.eval()
        synthesizer = Synthesizer(generator, data.labels, data.size, self.schedule.at(epoch))

        def drawn(part: slice, seed: int) -> np.ndarray:
            instances = None if samples.instances is None else samples.instances[part]
            return synthesizer.generate(samples.label_maps[part], samples.names[part], seed, instances=instances)

        fakes = drawn(slice(None), seed)
        found = {VARIETY: variety(samples, fakes)}
        if synthesizer.accepts.seed:
            found[SEED_VARIETY] = difference(fakes[:1], drawn(slice(1), seed + 1))
        for network in generator.networks().values():
            network.train()
        samples.write(self.files.look / "samples" / self.config.phase / f"epoch_{epoch:03d}", fakes)
        return {name: value for name, value in found.items() if value is not None}

    # --- running --------------------------------------------------------------------------------------------

    def run(self, first_epoch: int, last_epoch: int, end: int, folder: Path) -> None:
        """Train up to `last_epoch` from the newest usable state, else from `first_epoch`; the networks keep the result.

        Args:
            first_epoch: of the phase or resolution.
            last_epoch: to train.
            end: epoch at which the phase ends, for the decay of the learning rate.
            folder: of stats.jsonl and TensorBoard events.
        """
        config, given = self.config, self.files
        files = [given.photos, given.label_maps, *([given.instances] if given.instances else [])]
        pairs = TrainingPairs(*(np.load(file, mmap_mode="r") for file in files))
        step_config = self._step_config()
        origin = checkpoint.identity(given.start) if given.start else "fresh"
        of_data = prepared_digests([files[1], files[0], *files[2:]], given.digests)
        key = digest([dict(config.source), origin, *of_data])
        with contextlib.ExitStack() as held:
            states = held.enter_context(resume_folder(given.resume, key)) if self.writes else None
            found = states.latest(upto=last_epoch) if states else None
            begin = first_epoch
            if saved := ranks.broadcast(found[0] if found else 0):
                begin = saved + 1
                file = state_file(given.resume / key, saved)
                self._restore(found[1] if found else checkpoint.load(file))
            elif given.start:
                self._begin(checkpoint.load(given.start))
            plan = PhasePlan(
                config.phase, begin, last_epoch, end, config.seed, config.options, config.data, config.parity.crop,
                self.schedule, given.log_every,
            )  # fmt: skip
            log = StatsLog(folder, begin) if states else None
            train(self.nets, step_config, plan, pairs, log, self._epoch_end(states, last_epoch, log))
            if log:
                log.close()

    def _epoch_end(self, states: ResumeFolder | None, last_epoch: int, log: StatsLog | None) -> Callable[[int], None]:
        """Return the function called after every epoch: it writes sample images and, when due, a state.

        Each kind of warning sign in the losses is printed once.
        """
        saved_at, warned = time.monotonic(), set[str]()

        def after_epoch(epoch: int) -> None:
            nonlocal saved_at
            if states is None or log is None:
                return
            for sign in signs(log.amend(self.write_samples(epoch))):
                if sign.kind not in warned:
                    warned.add(sign.kind)
                    print(f"warning: {sign}", file=sys.stderr, flush=True)
            due = time.monotonic() - saved_at >= 60 * self.files.snapshot_minutes
            if due or epoch == last_epoch:
                states.save(epoch, self.state(), self.meta(epoch))
                saved_at = time.monotonic()

        return after_epoch

    def _step_config(self) -> StepConfig:
        options, parity = self.config.options, self.config.parity
        weights = {
            "feat": options.feature_matching, "rec": options.reconstruction, "perceptual": options.perceptual.weight,
        }  # fmt: skip
        perceptual = perceptual_loss(
            options.perceptual.net, self.files.perceptual, parity.perceptual_input, parity.inception_norm
        )
        loss_config = LossConfig(weights, perceptual, options.gan, options.label_mix)
        return StepConfig(
            loss_config, options.augment, StyleLoss(options.kl, options.kl_reduction), parity.loss_resize == "bilinear",
            parity.grow_copy == "every_forward", options.reuse_fakes,
        )  # fmt: skip


def _arrays(networks: Mapping[str, Module]) -> Arrays:
    """Return all parameters and buffers of networks by letter."""
    return {
        name: array for letter, network in networks.items() for name, array in prefixed(letter, gather(network)).items()
    }
