"""Check that a training step fits the GPUs of this machine.

The estimate leaves out the perceptual network, what convolutions work in, and CUDA's own memory: a batch that does not
fit by it does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from shanshui.architectures.network_cost import NetworkCounts
from shanshui.backend import gpu_patches
from shanshui.config.schema import Config
from shanshui.config.sections import Training
from shanshui.pipeline.finding import Finding
from shanshui.pipeline.memory import GIB, NUMBER, rows

TRAINED = 4  # arrays of each trained parameter: the weight, its gradient, two moments of Adam


def on_gpus(config: Config, counts: NetworkCounts, devices: Sequence[Mapping[str, object]]) -> Iterator[Finding]:
    """Check that the steps of both phases fit the smallest of the GPUs that the run may use.

    Args:
        config: of the run.
        counts: of its networks.
        devices: name and memory (MiB) of the visible ones.
    """
    if config.gpus == 0 or config.model.generator.device_peak is None:
        return
    chosen = config.gpus if isinstance(config.gpus, list) else range(len(devices))
    sizes = [int(str(devices[number]["memory_mib"])) for number in chosen if number < len(devices)]
    card = min(sizes, default=0) * 2**20 // config.jobs_per_gpu
    for name, phase in (("pretrain", config.pretrain), ("finetune", config.finetune)):
        if card and (found := too_large(config, name, phase, counts, card)):
            yield found


def too_large(config: Config, name: str, phase: Training, counts: NetworkCounts, card: int) -> Finding | None:
    """Return why a phase cannot train on a GPU, and how it can with the same batch; None where the step may fit.

    Args:
        config: of the run, whose generator has a `device_peak`.
        name: of the phase.
        phase: its options.
        counts: of the networks.
        card: bytes of memory for one job.
    """
    averaged = 1 if getattr(phase, "ema", 0) else 0
    fixed = NUMBER * (counts.finetuned * (TRAINED + averaged) + counts.discriminator * TRAINED)

    def taken(pairs: int) -> float:
        return fixed + peak(config, phase, pairs) * NUMBER * counts.outputs * pairs

    now = rows(phase)
    if taken(now) <= card:
        return None
    most = max((pairs for pairs in range(1, now) if taken(pairs) <= card), default=0)
    text = (
        f"a step of {name} takes at least {taken(now) / GIB:.1f} GiB with {now} pairs at a time at "
        f"{config.data.size}, and a job's GPU has {card / GIB:.1f} GiB: {most} fit at most"
    )
    divisors = [n for n in range(1, phase.batch + 1) if phase.batch % (phase.processes * n) == 0]
    parts = next((n for n in divisors if rows(phase, n) > 0 and taken(rows(phase, n)) <= card), None)
    do = f"{name}.accumulate: {parts}, which computes the same batch in parts"
    return Finding(f"GPU: {name}", "gap", text, do if parts else "smaller images, fewer base_channels, or a larger GPU")


def peak(config: Config, phase: Training, pairs: int) -> float:
    """Return the memory of a step at its peak / outputs of the generator's convolutions, by pairs at a time.

    Steps on distinct patches need less, the fewer the patches; what they need with few of them counts.
    """
    generator = config.model.generator
    pixels = pairs * config.data.height * config.data.width
    patches = phase.processes == 1 and gpu_patches.pay(pixels, phase.precision)
    found = generator.device_peak_patches if patches else generator.device_peak
    return found or 0.0
