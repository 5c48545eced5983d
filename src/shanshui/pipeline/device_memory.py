"""Check that a training step fits the GPUs of this machine.

The estimate leaves out the perceptual network, what convolutions work in, and CUDA's own memory: a batch that does not
fit by it does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from shanshui.architectures.network_cost import NetworkCounts
from shanshui.backend.device import distinct_patches_on_gpu
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
    if config.gpus == 0 or config.model.generator.device_peak is None or distinct_patches_on_gpu():
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
    each = (config.model.generator.device_peak or 0) * NUMBER * counts.outputs
    taken = fixed + each * rows(phase)
    if taken <= card:
        return None
    most = max(0, int((card - fixed) / each))
    text = (
        f"a step of {name} takes at least {taken / GIB:.1f} GiB with {rows(phase)} pairs at a time at "
        f"{config.data.size}, and a job's GPU has {card / GIB:.1f} GiB: {most} fit at most"
    )
    divisors = [n for n in range(1, phase.batch + 1) if phase.batch % (phase.processes * n) == 0]
    parts = next((n for n in divisors if rows(phase, n) <= most), None)
    do = f"{name}.accumulate: {parts}, which computes the same batch in parts"
    return Finding(f"GPU: {name}", "gap", text, do if parts else "smaller images, fewer base_channels, or a larger GPU")
