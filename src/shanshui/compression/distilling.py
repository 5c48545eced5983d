"""Training of a small generator, the student, on the images and features of a larger one, its teacher.

Without photographs and discriminator, as in OMGD (Ren et al. 2021, section 3.2), any label maps serve, and a step costs
a forward pass of the teacher and a training step of the student. With them (`photographs`), the losses of fine-tuning
are added. A control is the same student without a teacher.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from shanshui.architectures.base import Terms
from shanshui.architectures.generator_networks import BuiltGenerator
from shanshui.architectures.noise_source import NoiseSource, seeded_noise
from shanshui.architectures.style_encoder import reparameterise
from shanshui.backend.lazy import jt
from shanshui.backend.modules import gather, gather_optimizer, restore, restore_optimizer
from shanshui.backend.runtime import seed_everything
from shanshui.compression.examples import Examples, Source
from shanshui.compression.photographs import Photographs
from shanshui.logs import progress
from shanshui.nn.distillation import By, alignment_loss, similarity_loss
from shanshui.nn.losses import l1, total
from shanshui.storage.checkpoint import Arrays, Checkpoint, prefixed
from shanshui.storage.files import digest
from shanshui.training.loop import Losses, rate_factor
from shanshui.training.optim import adam
from shanshui.training.resume import resume_folder

if TYPE_CHECKING:
    from jittor import Module, Var
    from jittor.nn import ModuleList

STREAM = 11  # of random numbers, besides those of the phases of a run
BETAS = (0.5, 0.999)
CALLED = "execute"  # the method that Jittor's modules run when they are called


@dataclass(frozen=True)
class DistillConfig:
    """Options of a student's training.

    Attributes:
        epochs: over the label maps; the learning rate falls linearly to 0 in their second half.
        batch: label maps per step.
        lr: initial learning rate.
        seed: of the initial weights, the order of label maps, and noise.
        alignment: weight of kernel alignment.
        by: rows of kernel alignment.
        similarity: weight of 1 - SSIM.
        reconstruction: weight of L1.
        perceptual: weight of the perceptual loss.
        alone: without a teacher: photographs take the place of its images.
    """

    epochs: int
    batch: int
    lr: float
    seed: int
    alignment: float
    by: By
    similarity: float
    reconstruction: float
    perceptual: float
    alone: bool = False


class Distillation:
    """A student in training, and its teacher.

    Attributes:
        teacher: in evaluation mode; it is never changed.
        student: with its initial weights.
        photographs: losses by photographs and a discriminator, or None.
    """

    def __init__(
        self, teacher: BuiltGenerator, student: BuiltGenerator, config: DistillConfig,
        perceptual: Callable[[Var, Var], Var] | None = None, photographs: Photographs | None = None,
    ) -> None:  # fmt: skip
        self.teacher, self.student, self.config, self._perceptual = teacher, student, config, perceptual
        self.photographs = photographs
        if student.style_encoder is not None and teacher.style_encoder is not None:
            restore(student.style_encoder, gather(teacher.style_encoder), "the teacher's style encoder")
            student.style_encoder.eval()
        self._optimizer = adam(self._trained(), config.lr, photographs.betas if photographs else BETAS)

    def _trained(self) -> list[Module]:
        """List the networks that are trained: a style encoder, which is the teacher's, is not."""
        return [network for network in self.student.networks().values() if network is not self.student.style_encoder]

    def weights(self) -> Arrays:
        """Return the arrays of the student."""
        parts = (prefixed(letter, gather(network)) for letter, network in self.student.networks().items())
        return {name: array for part in parts for name, array in part.items()}

    def state(self) -> Arrays:
        """Return everything training resumes from."""
        more = self.photographs.state() if self.photographs else {}
        return self.weights() | prefixed("opt", gather_optimizer(self._optimizer)) | more

    def restore(self, state: Checkpoint) -> None:
        """Restore what `state` returned."""
        for letter, network in self.student.networks().items():
            restore(network, state.part(letter), f"training state ({letter})")
        restore_optimizer(self._optimizer, state.part("opt"), "training state (opt)")
        if self.photographs:
            self.photographs.restore(state)

    def train(self, source: Source, first: int, after_epoch: Callable[[int, Mapping[str, float]], None]) -> None:
        """Train from epoch `first` to the last one.

        Args:
            source: of examples.
            first: 1 for the first.
            after_epoch: called with the number of each epoch and the means of its loss terms.

        Raises:
            ShanshuiError: a loss is not finite.
        """
        config = self.config
        for network in self._trained():
            network.train()
        with progress(source.steps * (config.epochs - first + 1), "distill", "step") as bar:
            for epoch in range(first, config.epochs + 1):
                seeds = np.random.SeedSequence([config.seed, epoch, STREAM])
                seed_everything(int(seeds.generate_state(1)[0]))
                factor = rate_factor(epoch, config.epochs, config.epochs // 2)
                self._optimizer.lr = config.lr * factor
                if self.photographs:
                    self.photographs.begin(factor, np.random.default_rng(seeds.spawn(1)[0]))
                losses = Losses("distill", epoch)
                for examples in source.epoch(epoch, np.random.default_rng(seeds)):
                    losses.add(self.step(examples))
                    losses.read()
                    bar.update()
                after_epoch(epoch, losses.means())

    def step(self, examples: Examples) -> Terms:
        """Update the student, then the discriminator if there is one; teacher and student draw the same noise."""
        terms, image = self._losses(examples)
        kept = image.detach()
        self._optimizer.step(total(terms.values()))
        if self.photographs:
            terms |= self.photographs.update(kept, examples)
            jt.sync_all()
        return terms

    def losses(self, examples: Examples) -> Terms:
        """Compute the weighted loss terms of the student."""
        return self._losses(examples)[0]

    def _losses(self, examples: Examples) -> tuple[Terms, Var]:
        """Compute the weighted loss terms of the student, and its images (N, 3, H, W)."""
        noise = self._noise(examples)
        if self.config.alone:
            image, terms = self.student.generate(examples.conditioning, noise()), {}
            if not self.photographs:
                terms = self._image_terms(image, examples.photographs())
        else:
            image, terms = self._taught(examples, noise)
        if self.photographs:
            terms |= self.photographs.generator_terms(image, examples)
        return terms, image

    def _taught(self, examples: Examples, noise: Callable[[], NoiseSource]) -> tuple[Var, Terms]:
        """Generate with student and teacher; return the student's images and the differences from the teacher."""
        config, aligned = self.config, self.teacher.declared.aligned if self.config.alignment else ()
        with jt.no_grad(), captured(self.teacher.G, aligned) as wanted:
            target = self.teacher.generate(examples.conditioning, noise()).detach()
        with captured(self.student.G, aligned) as found:
            image = self.student.generate(examples.conditioning, noise())
        terms: Terms = {}
        if config.alignment:
            ours, theirs = ([one[name] for name in aligned] for one in (found, wanted))
            terms["G/alignment"] = config.alignment * alignment_loss(ours, theirs, config.by)
        return image, terms | self._image_terms(image, target)

    def _image_terms(self, image: Var, target: Var) -> Terms:
        """Compare images (N, 3, H, W) with the teacher's, or with photographs."""
        config, terms = self.config, Terms()
        if config.similarity:
            terms["G/similarity"] = config.similarity * similarity_loss(image, target)
        if config.reconstruction:
            terms["G/rec"] = config.reconstruction * l1(image, target)
        if config.perceptual and self._perceptual is not None:
            terms["G/perceptual"] = config.perceptual * self._perceptual(image, target)
        return terms

    def _noise(self, examples: Examples) -> Callable[[], NoiseSource]:
        """Return the noise by names; where photographs take part, with their styles, if there is an encoder."""
        noise = partial(seeded_noise(self.config.seed), examples.names)
        encoder = self.student.style_encoder
        if encoder is None or not (self.photographs or self.config.alone):
            return noise
        with jt.no_grad():
            mean, log_variance = encoder(examples.photographs())
            z = reparameterise(mean, log_variance, noise().vector(*mean.shape)).detach()
        return lambda: replace(noise(), vector=lambda n, length: z)


def teach(training: Distillation, source: Source, meta: Mapping[str, object], resume: Path | None) -> None:
    """Train from the newest state in `resume`, if there is one, and save a state there after every epoch.

    Args:
        training: the student, with its initial weights.
        source: of examples.
        meta: all that the result depends on, but for the examples.
        resume: folder of the states; None: none is kept.
    """
    with contextlib.ExitStack() as held:
        states, first = None, 1
        if resume:
            states = held.enter_context(resume_folder(resume, digest([dict(meta), *source.identity])))
            if saved := states.latest(upto=training.config.epochs):
                first = saved[0] + 1
                training.restore(saved[1])

        def after_epoch(epoch: int, means: Mapping[str, float]) -> None:
            print(f"epoch {epoch}: " + ", ".join(f"{name} {value:.4f}" for name, value in means.items()), flush=True)
            if states:
                states.save(epoch, training.state(), {"epoch": epoch})

        training.train(source, first, after_epoch)


@contextlib.contextmanager
def captured(network: Module, names: Sequence[str]) -> Iterator[dict[str, Var]]:
    """Yield a dictionary that fills with the outputs of parts of a network, by name, while it runs."""
    outputs: dict[str, Var] = {}
    parts = {name: part_of(network, name) for name in names}

    def record(name: str, execute: Callable[..., Var], *args: object, **named: object) -> Var:
        outputs[name] = execute(*args, **named)
        return outputs[name]

    try:
        for name, part in parts.items():
            vars(part)[CALLED] = partial(record, name, getattr(part, CALLED))  # of this module, not of its class
        yield outputs
    finally:
        for part in parts.values():
            vars(part).pop(CALLED, None)


def part_of(network: Module, name: str) -> Module:
    """Return a part of a network, as `up_1` or `body.3`."""
    found: Module = network
    for step in name.split("."):
        found = cast("ModuleList", found)[int(step)] if step.isdecimal() else getattr(found, step)
    return found
