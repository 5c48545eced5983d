"""SegFormer (Xie et al. 2021): a pyramid of transformer stages and a head of linear layers, for inference.

The classes it was trained on (ADE20K's 150, say) are grouped into those of the label maps at the network's
end, so that its logits are of the classes of the label maps only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from shanshui.backend.lazy import Module, jt, nn
from shanshui.nn.resize import bilinear
from shanshui.nn.vgg import imagenet_range
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var

    from shanshui.architectures.segmenters import SegmenterMeta


EPS = 1e-5
KERNELS, STRIDES = (7, 3, 3, 3), (4, 2, 2, 2)  # of the patches
NEVER = -1e30  # logit of a class without counterpart: finite, so that interpolation and softmax give no NaN


def as_tokens(x: Var) -> Var:
    """Reshape a map (N, C, h, w) to tokens (N, h * w, C)."""
    return x.reshape(x.shape[0], x.shape[1], -1).transpose(0, 2, 1)


def as_map(x: Var, size: Size) -> Var:
    """Reshape tokens (N, h * w, C) to a map (N, C, h, w) of size (h, w)."""
    return x.transpose(0, 2, 1).reshape(x.shape[0], x.shape[2], *size)


class LayerNorm(Module):
    """Layer norm of tokens with scale and shift: (N, L, C) -> same. The variance is of centred values, see `norms`."""

    def __init__(self, channels: int) -> None:
        self.weight = jt.ones((channels,))
        self.bias = jt.zeros((channels,))

    def execute(self, x: Var) -> Var:
        """Normalise tokens (N, L, C)."""
        centred = x - x.mean(2, keepdims=True)
        variance = (centred * centred).mean(2, keepdims=True)
        return centred / (variance + EPS).sqrt() * self.weight + self.bias


class Attention(Module):
    """Efficient self-attention (section 3.1): keys and values come from a map that is `reduction` times smaller."""

    def __init__(self, channels: int, heads: int, reduction: int) -> None:
        self.heads, self.reduction = heads, reduction
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.output = nn.Linear(channels, channels)
        if reduction > 1:
            self.reduce = nn.Conv(channels, channels, reduction, reduction)
            self.reduce_norm = LayerNorm(channels)

    def execute(self, x: Var, size: Size) -> Var:
        """Apply attention to tokens (N, h * w, C) of a map of `size`."""
        source = x
        if self.reduction > 1:
            source = self.reduce_norm(as_tokens(self.reduce(as_map(x, size))))  # (N, M, C)
        query, key, value = self.split(self.query(x)), self.split(self.key(source)), self.split(self.value(source))
        scale = query.shape[2] ** -0.5
        weights = nn.softmax(jt.matmul(query * scale, key.transpose(0, 2, 1)), 2)  # (N * heads, L, M)
        return self.output(self.join(jt.matmul(weights, value)))

    def split(self, x: Var) -> Var:
        """Split the heads: (N, L, heads * d) -> (N * heads, L, d)."""
        n, length, channels = x.shape
        width = channels // self.heads
        return x.reshape(n, length, self.heads, width).transpose(0, 2, 1, 3).reshape(n * self.heads, length, width)

    def join(self, x: Var) -> Var:
        """Join the heads, the inverse of `split`."""
        n, length, width = x.shape
        n //= self.heads
        return x.reshape(n, self.heads, length, width).transpose(0, 2, 1, 3).reshape(n, length, self.heads * width)


class MixFeed(Module):
    """Mix-FFN (section 3.1): a linear layer, a depthwise 3x3 convolution, GELU, a linear layer."""

    def __init__(self, channels: int, hidden: int) -> None:
        self.widen = nn.Linear(channels, hidden)
        self.depthwise = nn.Conv(hidden, hidden, 3, padding=1, groups=hidden)
        self.narrow = nn.Linear(hidden, channels)

    def execute(self, x: Var, size: Size) -> Var:
        """Apply the layers to tokens (N, h * w, C) of a map of `size`."""
        return self.narrow(nn.gelu(as_tokens(self.each_channel(as_map(self.widen(x), size)))))

    def each_channel(self, x: Var) -> Var:
        """Apply the depthwise convolution (N, C, h, w) -> same; on a GPU through cuDNN, not by Jittor's own kernels."""
        conv = self.depthwise
        if jt.flags.use_cuda:
            return nn.conv2d(x, conv.weight, conv.bias, conv.stride, conv.padding, groups=conv.groups)
        return conv(x)


class Block(Module):
    """Transformer block: attention and Mix-FFN, each after a norm and with a shortcut."""

    def __init__(self, channels: int, heads: int, reduction: int, mlp_ratio: int) -> None:
        self.norm1 = LayerNorm(channels)
        self.attention = Attention(channels, heads, reduction)
        self.norm2 = LayerNorm(channels)
        self.feed = MixFeed(channels, channels * mlp_ratio)

    def execute(self, x: Var, size: Size) -> Var:
        """Apply the block to tokens (N, h * w, C) of a map of `size`."""
        x = x + self.attention(self.norm1(x), size)
        return x + self.feed(self.norm2(x), size)


class Embedding(Module):
    """Overlapping patch embedding: a strided convolution, then a norm."""

    def __init__(self, inputs: int, channels: int, kernel: int, stride: int) -> None:
        self.proj = nn.Conv(inputs, channels, kernel, stride, kernel // 2)
        self.norm = LayerNorm(channels)

    def execute(self, x: Var) -> tuple[Var, Size]:
        """Embed (N, inputs, H, W): tokens (N, h * w, channels) and (h, w) = (ceil(H / stride), ceil(W / stride))."""
        x = self.proj(x)
        return self.norm(as_tokens(x)), Size.of_maps(x)


class Stage(Module):
    """Stage: patches of kernel x kernel pixels, `depth` blocks, a norm."""

    def __init__(
        self, kernel: int, stride: int, inputs: int, channels: int, depth: int, heads: int, reduction: int,
        mlp_ratio: int,
    ) -> None:  # fmt: skip
        self.embed = Embedding(inputs, channels, kernel, stride)
        self.blocks = nn.ModuleList([Block(channels, heads, reduction, mlp_ratio) for _ in range(depth)])
        self.norm = LayerNorm(channels)

    def execute(self, x: Var) -> Var:
        """Apply the stage: (N, inputs, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride))."""
        x, size = self.embed(x)
        for block in self.blocks:
            x = block(x, size)
        return as_map(self.norm(x), size)


class Head(Module):
    """All-MLP decoder (section 3.2): every stage's map is projected, enlarged and fused; then the classes."""

    def __init__(self, widths: Sequence[int], channels: int, outputs: int) -> None:
        self.channels = channels
        self.project = nn.ModuleList([nn.Linear(width, channels) for width in widths])
        self.fuse = nn.Conv(channels * len(widths), channels, 1, bias=False)  # of the stages, the last one first
        self.norm = nn.BatchNorm(channels, eps=EPS)
        self.classify = nn.Conv(channels, outputs, 1)

    def execute(self, maps: Sequence[Var]) -> Var:
        """Compute logits (N, outputs, h, w) from maps (N, widths[i], h / 2^i, w / 2^i).

        Each stage is fused before it is enlarged: both steps are linear and commute, and the small maps
        cost less.
        """
        parts: list[Var] = []
        c, size = self.channels, Size.of_maps(maps[0])
        for i, (x, project) in enumerate(zip(maps, self.project, strict=True)):
            place = len(maps) - 1 - i
            part = nn.conv2d(
                as_map(project(as_tokens(x)), Size.of_maps(x)), self.fuse.weight[:, place * c : place * c + c]
            )
            parts.append(bilinear(part, size))
        return self.classify(nn.relu(self.norm(cast("Var", sum(parts)))))


class SegFormer(Module):
    """SegFormer with logits for the classes of the label maps.

    Args:
        widths: channels of the four stages.
        depths: blocks of the stages.
        heads: attention heads of the stages.
        reductions: factor, per side, by which the maps of keys and values are smaller.
        mlp_ratios: hidden channels of the Mix-FFN over its channels.
        decoder_width: channels of the head.
        grouping: for each class the network was trained on, the class of the label maps it belongs to; -1: none.
        num_classes: classes of the label maps.
    """

    def __init__(
        self, widths: Sequence[int], depths: Sequence[int], heads: Sequence[int], reductions: Sequence[int],
        mlp_ratios: Sequence[int], decoder_width: int, grouping: Sequence[int], num_classes: int,
    ) -> None:  # fmt: skip
        self.members = [[i for i, group in enumerate(grouping) if group == c] for c in range(num_classes)]
        inputs = (3, *widths[:-1])
        rows = zip(KERNELS, STRIDES, inputs, widths, depths, heads, reductions, mlp_ratios, strict=True)
        self.stages = nn.ModuleList([Stage(*row) for row in rows])
        self.head = Head(widths, decoder_width, len(grouping))

    def encode(self, x: Var) -> list[Var]:
        """Compute the stages' maps, of 1/4, 1/8, 1/16 and 1/32 the size, for normalised photographs (N, 3, H, W)."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def segment(self, photos: Var) -> tuple[Var, Var]:
        """Classify photographs.

        Args:
            photos: (N, 3, h, w) in [-1, 1], sides of 32 or more.

        Returns:
            Logits (N, num_classes, h / 4, w / 4), a class's being the largest of its members', so that the
            arg max is that of the network's own classes; and features (N, widths[-1]), the mean of the last map.
        """
        maps = self.encode(imagenet_range(photos))
        return self.gather(self.head(maps)), maps[-1].mean(3).mean(2)

    def gather(self, logits: Var) -> Var:
        """Reduce (N, trained classes, h, w) to (N, num_classes, h, w), the largest logit among a class's members."""
        n, _, h, w = logits.shape
        never = jt.full((n, 1, h, w), NEVER)
        parts = [logits[:, members].max(1, keepdims=True) if members else never for members in self.members]
        return jt.concat(parts, 1)


def build(meta: SegmenterMeta) -> SegFormer:
    """Create the network of a segmenter's file, in evaluation mode and untrained, from the file's metadata."""
    network = SegFormer(**meta["model"], grouping=meta["grouping"], num_classes=len(meta["classes"]))
    network.eval()
    return network
