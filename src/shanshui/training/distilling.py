"""Training of a small generator, the student, on the images and features of a larger one, its teacher.

No photographs and no discriminator take part, as in OMGD (Ren et al. 2021, section 3.2): any label maps serve, and a
step costs a forward pass of the teacher and a training step of the student.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from shanshui.architectures.base import Terms
from shanshui.architectures.generator_networks import BuiltGenerator
from shanshui.architectures.noise_source import seeded_noise
from shanshui.backend.lazy import jt
from shanshui.backend.modules import gather, gather_optimizer, restore, restore_optimizer
from shanshui.backend.runtime import seed_everything
from shanshui.logs import progress
from shanshui.nn.distillation import By, alignment_loss, similarity_loss
from shanshui.nn.losses import l1, total
from shanshui.storage.checkpoint import Arrays, Checkpoint, prefixed
from shanshui.storage.size import Size
from shanshui.training.loop import Losses, rate_factor
from shanshui.training.optim import adam

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


class Distillation:
    """A student in training, and its teacher.

    Attributes:
        teacher: in evaluation mode; it is never changed.
        student: freshly initialised.
    """

    def __init__(
        self, teacher: BuiltGenerator, student: BuiltGenerator, config: DistillConfig,
        perceptual: Callable[[Var, Var], Var] | None = None,
    ) -> None:  # fmt: skip
        self.teacher, self.student, self.config, self._perceptual = teacher, student, config, perceptual
        if student.style_encoder is not None and teacher.style_encoder is not None:
            restore(student.style_encoder, gather(teacher.style_encoder), "the teacher's style encoder")
            student.style_encoder.eval()
        self._optimizer = adam(self._trained(), config.lr, BETAS)

    def _trained(self) -> list[Module]:
        """List the networks that are trained: a style encoder, which is the teacher's, is not."""
        return [network for network in self.student.networks().values() if network is not self.student.style_encoder]

    def weights(self) -> Arrays:
        """Return the arrays of the student."""
        parts = (prefixed(letter, gather(network)) for letter, network in self.student.networks().items())
        return {name: array for part in parts for name, array in part.items()}

    def state(self) -> Arrays:
        """Return everything training resumes from."""
        return self.weights() | prefixed("opt", gather_optimizer(self._optimizer))

    def restore(self, state: Checkpoint) -> None:
        """Restore what `state` returned."""
        for letter, network in self.student.networks().items():
            restore(network, state.part(letter), f"training state ({letter})")
        restore_optimizer(self._optimizer, state.part("opt"), "training state (opt)")

    def train(
        self, label_maps: np.ndarray, first: int, after_epoch: Callable[[int, Mapping[str, float]], None]
    ) -> None:
        """Train from epoch `first` to the last one.

        Args:
            label_maps: class ids uint8 (N, H, W).
            first: 1 for the first.
            after_epoch: called with the number of each epoch and the means of its loss terms.

        Raises:
            ShanshuiError: a loss is not finite.
        """
        config = self.config
        steps = -(-len(label_maps) // config.batch)
        for network in self._trained():
            network.train()
        with progress(steps * (config.epochs - first + 1), "distill", "step") as bar:
            for epoch in range(first, config.epochs + 1):
                seeds = np.random.SeedSequence([config.seed, epoch, STREAM])
                seed_everything(int(seeds.generate_state(1)[0]))
                self._optimizer.lr = config.lr * rate_factor(epoch, config.epochs, config.epochs // 2)
                order = np.random.default_rng(seeds).permutation(len(label_maps))
                losses = Losses("distill", epoch)
                for part in batches_of(order, config.batch):
                    names = [f"{epoch}.{index}" for index in part]
                    losses.add(self.step(label_maps[part], names))
                    losses.read()
                    bar.update()
                after_epoch(epoch, losses.means())

    def step(self, label_maps: np.ndarray, names: Sequence[str]) -> Terms:
        """Update the student on label maps, uint8 (N, H, W); teacher and student draw the same noise, by name."""
        terms = self.losses(label_maps, names)
        self._optimizer.step(total(terms.values()))
        return terms

    def losses(self, label_maps: np.ndarray, names: Sequence[str]) -> Terms:
        """Compute the weighted loss terms of the student."""
        config, aligned = self.config, self.teacher.declared.aligned if self.config.alignment else ()
        conditioning = self.teacher.condition(label_maps, self.teacher.patch_sizes(Size.of_maps(label_maps)))
        noise = partial(seeded_noise(config.seed), names)
        with jt.no_grad(), captured(self.teacher.G, aligned) as wanted:
            target = self.teacher.generate(conditioning, noise()).detach()
        with captured(self.student.G, aligned) as found:
            image = self.student.generate(conditioning, noise())
        terms: Terms = {}
        if config.alignment:
            ours, theirs = ([one[name] for name in aligned] for one in (found, wanted))
            terms["G/alignment"] = config.alignment * alignment_loss(ours, theirs, config.by)
        if config.similarity:
            terms["G/similarity"] = config.similarity * similarity_loss(image, target)
        if config.reconstruction:
            terms["G/rec"] = config.reconstruction * l1(image, target)
        if config.perceptual and self._perceptual is not None:
            terms["G/perceptual"] = config.perceptual * self._perceptual(image, target)
        return terms


def batches_of(order: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut indices into batches of equal size; the last is filled up with the first indices."""
    lacking = -len(order) % size
    return list(np.resize(order, len(order) + lacking).reshape(-1, size))


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
