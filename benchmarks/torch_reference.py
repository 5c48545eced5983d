"""The same networks and the same training step in PyTorch, written plainly: what the benchmarks compare with.

Needs torch (any 2.x), which the project itself never does. Names of parameters are ours, so that weights go
over by `load`; the benchmarks check that both give the same picture before they measure anything.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2
WIDTHS = {6: (1, 2, 4, 8, 8, 16), 5: (1, 2, 4, 8, 16)}


def leaky_relu(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, SLOPE)


class Encoder(nn.Module):
    """Label map to the generator's first features."""

    def __init__(self, classes: int, base: int, halvings: int) -> None:
        super().__init__()
        widths = [classes, *(base * w for w in WIDTHS[halvings])]
        self.halvings = halvings
        for i in range(halvings):
            setattr(self, f"layer{i + 1}", nn.Conv2d(widths[i], widths[i + 1], 3, 2, 1, bias=False))

    def forward(self, segmap: Tensor) -> Tensor:
        x = segmap
        for i in range(self.halvings):
            x = leaky_relu(functional.instance_norm(getattr(self, f"layer{i + 1}")(x)))
        return x


class SPADE(nn.Module):
    """Batch norm modulated by two convolutions of the label map."""

    def __init__(self, channels: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.param_free_norm = nn.BatchNorm2d(channels, affine=False)
        self.mlp_shared = nn.Conv2d(classes, hidden, 3, padding=1)
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, segmap: Tensor) -> Tensor:
        hidden = functional.relu(self.mlp_shared(segmap))
        return self.param_free_norm(x) * (1 + self.mlp_gamma(hidden)) + self.mlp_beta(hidden)


class Block(nn.Module):
    """Residual block of SPADE layers."""

    def __init__(self, fin: int, fout: int, classes: int, hidden: int) -> None:
        super().__init__()
        middle = min(fin, fout)
        self.conv_0, self.conv_1 = nn.Conv2d(fin, middle, 3, padding=1), nn.Conv2d(middle, fout, 3, padding=1)
        self.norm_0, self.norm_1 = SPADE(fin, classes, hidden), SPADE(middle, classes, hidden)
        self.shortcut = fin != fout
        if self.shortcut:
            self.conv_s, self.norm_s = nn.Conv2d(fin, fout, 1, bias=False), SPADE(fin, classes, hidden)

    def forward(self, x: Tensor, segmap: Tensor) -> Tensor:
        shortcut = self.conv_s(self.norm_s(x, segmap)) if self.shortcut else x
        y = self.conv_0(leaky_relu(self.norm_0(x, segmap)))
        return shortcut + self.conv_1(leaky_relu(self.norm_1(y, segmap)))


class Generator(nn.Module):
    """Full-size image from the encoder's features and the label map."""

    NAMES = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3", "up_4")

    def __init__(self, classes: int, base: int, halvings: int, hidden: int) -> None:
        super().__init__()
        widths = [base * 2**i // 2 for i in (5, 5, 5, 5, 4, 3, 2, 1, 0)]
        for name, fin, fout in zip(self.NAMES, widths, widths[1:], strict=False):
            setattr(self, name, Block(fin, fout, classes, hidden))
        self.doubled = set(self.NAMES[3:]) | ({"G_middle_0"} if halvings == 6 else set())
        self.out_conv_img = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, z: Tensor, segmap: Tensor) -> Tensor:
        x = z
        for name in self.NAMES:
            x = functional.interpolate(x, scale_factor=2) if name in self.doubled else x
            x = getattr(self, name)(x, functional.interpolate(segmap, x.shape[2:]))
        return torch.tanh(self.out_conv_img(leaky_relu(x)))


class PatchDiscriminator(nn.Module):
    """One discriminator with some extra halvings in front."""

    def __init__(self, classes: int, base: int, extra: int) -> None:
        super().__init__()
        self.first = f"from_rgb_{extra}"
        setattr(self, self.first, nn.Conv2d(classes + 3, base >> extra, 4, padding=2))
        widths = [base >> i for i in range(extra, 0, -1)] + [min(base << i, 512) for i in range(5)]
        self.blocks = [f"extra_{i}" for i in range(extra, 0, -1)] + [f"model_{i}" for i in range(4)]
        for name, fin, fout in zip(self.blocks, widths, widths[1:], strict=False):
            stride = 1 if name == "model_3" else 2
            setattr(self, name, nn.Conv2d(fin, fout, 4, stride, 2, bias=False))
        self.model_4 = nn.Conv2d(widths[-1], 1, 4, padding=2)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = leaky_relu(getattr(self, self.first)(x))
        features = []
        for name in self.blocks:
            x = leaky_relu(functional.instance_norm(getattr(self, name)(x)))
            features.append(x)
        return [*features, self.model_4(x)]


class Discriminator(nn.Module):
    """Progressive discriminators in full mode, the largest image to the one with the most halvings."""

    def __init__(self, classes: int, base: int, count: int) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(PatchDiscriminator(classes, base, extra) for extra in range(count))

    def forward(self, segmap: Tensor, *images: Tensor) -> list[list[Tensor]]:
        x = torch.cat([torch.cat([segmap, image], 1) for image in images])
        outputs = []
        for discriminator in reversed(self.discriminators):
            outputs.append(discriminator(x))
            x = functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return outputs


class Trainer:
    """G, E and D with their optimisers; `step` is one generator step and one discriminator step."""

    def __init__(self, classes: int, base: int, halvings: int, hidden: int, count: int, d_base: int) -> None:
        self.G, self.E = Generator(classes, base, halvings, hidden), Encoder(classes, base, halvings)
        self.D = Discriminator(classes, d_base, count)
        both = [*self.G.parameters(), *self.E.parameters()]
        self.opt_g = torch.optim.Adam(both, 1e-4, (0.0, 0.9))
        self.opt_d = torch.optim.Adam(self.D.parameters(), 4e-4, (0.0, 0.9))

    def load(self, which: nn.Module, arrays: dict[str, np.ndarray]) -> None:
        """Take over our weights, those this full-size form has."""
        wanted = which.state_dict()
        which.load_state_dict({n: torch.from_numpy(arrays[n]) if n in arrays else wanted[n] for n in wanted})

    def step(self, real: Tensor, segmap: Tensor) -> dict[str, float]:
        """One step of G and E, then of D, as the winner's loop takes it; the losses."""
        fake = self.G(self.E(segmap), segmap)
        for parameter in self.D.parameters():
            parameter.requires_grad_(False)
        of_fake = self.D(segmap, fake)
        with torch.no_grad():
            of_real = self.D(segmap, real)
        losses = {
            "G/adv": -average([maps[-1].mean() for maps in of_fake]),
            "G/feat": 10 * average([
                sum((a - b).abs().mean() for a, b in zip(f[:-1], r[:-1], strict=True))
                for f, r in zip(of_fake, of_real, strict=True)
            ]),
            "G/rec": 10 * (fake - real).abs().mean(),
        }  # fmt: skip
        self.opt_g.zero_grad()
        sum(losses.values()).backward()
        self.opt_g.step()

        for parameter in self.D.parameters():
            parameter.requires_grad_(True)
        with torch.no_grad():
            fake = self.G(self.E(segmap), segmap)
        n = len(real)
        outputs = self.D(segmap, fake, real)
        of_d = {
            "D/real": average([functional.relu(1 - maps[-1][n:]).mean() for maps in outputs]),
            "D/fake": average([functional.relu(1 + maps[-1][:n]).mean() for maps in outputs]),
        }
        self.opt_d.zero_grad()
        sum(of_d.values()).backward()
        self.opt_d.step()
        return {name: float(loss) for name, loss in (losses | of_d).items()}


def average(terms: Sequence[Tensor]) -> Tensor:
    return sum(terms) / len(terms)
