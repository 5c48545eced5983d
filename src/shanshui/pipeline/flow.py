"""File names that connect the rules, and checks made before planning.

Everything Snakemake needs to know about a configuration in plain Python, so that it can be tested;
`rules/*.smk` only say which stage reads and writes what.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shanshui.architectures.schedule import schedule
from shanshui.backend import lease
from shanshui.backend.device import cuda_identities, find_device
from shanshui.config.schema import Config
from shanshui.config.sections import PERCEPTUAL
from shanshui.config.settings import stage_settings
from shanshui.config.stages import with_settings
from shanshui.data.contents import content_digests
from shanshui.data.layouts import FOLDERS, INSTANCES, LAYOUTS
from shanshui.metrics.registry import need_segmenter, weights_of
from shanshui.pipeline.changes import CODE, counted_digest, read_accepted, recorded_settings, remember
from shanshui.pipeline.retention import STATES
from shanshui.storage.files import digest
from shanshui.storage.names import printable
from shanshui.weights.builtin import BUILTIN
from shanshui.weights.catalogue import FOLDER, WEIGHT_FILES


def weight_path(name: str) -> Path:
    """Return the path of the weight file `name`."""
    return FOLDER / WEIGHT_FILES[name].file


def epoch_name(epoch: int) -> str:
    """Name of a checkpoint of fine-tuning."""
    return f"epoch_{epoch:03d}"


def average_name(models: Iterable[str]) -> str:
    """`271+299` for the average of the checkpoints epoch_271, epoch_299 and of averages of them, in any order."""
    return "+".join(sorted({epoch for model in models for epoch in model.removeprefix("epoch_").split("+")}))


def prepare_environment(source: Path, own_python: bool, config: Config) -> None:
    """Set the environment of every job: path of this package, Python (Snakemake's or conda's), GPUs."""
    os.environ["PYTHONPATH"] = str(source)
    if own_python:
        os.environ["PATH"] = str(Path(sys.executable).parent) + os.pathsep + os.environ.get("PATH", "")
    if config.gpus == 0:
        os.environ["SHANSHUI_DEVICE"] = "cpu"
    os.environ[lease.GPUS] = ",".join(map(str, config.gpus)) if isinstance(config.gpus, list) else lease.AUTO
    os.environ[lease.JOBS_PER_GPU] = str(config.jobs_per_gpu)


@dataclass(frozen=True)
class Flow:
    """File names of one configuration's run."""

    config: Config

    # --- what there can be --------------------------------------------------------------------------------

    def wildcards(self) -> dict[str, str]:
        """Return constraints of the wildcards, which exclude files of other runs and schedules."""
        one = "|".join(f"{epoch:03d}" for epoch in self._epochs())
        epoch, stages = f"(?:{one})", "|".join(with_settings())
        average = rf"{epoch}(?:\+{epoch})+"
        return {
            "run": re.escape(self.config.run), "stage": f"(?:{stages})", "epoch": epoch, "subset": average,
            "resolution": f"(?:{'|'.join(self.resolutions())})", "model": f"(?:(?:epoch|ema)_{epoch}|{average})",
            "seed": r"\d+", "tried": r"\d+",
        }  # fmt: skip

    def _epochs(self) -> range:
        """The epochs of fine-tuning."""
        first = self.config.pretrain.epochs + 1
        return range(first, first + self.config.finetune.epochs)

    def stands(self, choice: Mapping[str, Any], seeds: bool = False) -> bool:
        """Return whether a choice is still valid: of scored epochs and, with `seeds`, of listed seeds."""
        scored = {f"{epoch:03d}" for epoch in self.config.score.epochs()}
        epochs = {epoch for model in choice["chosen"] for epoch in re.sub("^(epoch|ema)_", "", model).split("+")}
        return epochs <= scored and (not seeds or set(choice["chosen_seeds"]) <= set(self.config.infer.seeds))

    # --- the machine and the code -------------------------------------------------------------------------

    def settings(self, run: str, stage: str) -> dict[str, Any]:
        """Return what a stage's results depend on: its options and the digest of the code it imports."""
        code = counted_digest(stage, read_accepted(Path("results") / run))
        return {**stage_settings(self.config, stage), CODE: code}

    def remember_code(self) -> None:
        """Record next to the settings which modules their digests cover, for `explain`."""
        remember(Path("results") / self.config.run, with_settings())

    def gpu_jobs(self) -> int:
        """Jobs on GPUs at a time on this machine; without a GPU one, which then has all cores."""
        if find_device().kind != "cuda":
            return 1
        wanted = ",".join(map(str, self.config.gpus)) if isinstance(self.config.gpus, list) else lease.AUTO
        return len(lease.allowed(lease.visible_gpus(cuda_identities()), wanted)) * self.config.jobs_per_gpu

    @staticmethod
    def threads(jobs: int, processes: int = 1) -> int:
        """Threads of each of `jobs` at a time, of several processes; Snakemake lowers it to the cores there are."""
        return 64 if jobs == 1 else processes * max(1, len(os.sched_getaffinity(0)) // jobs)

    def rehearsed(self) -> list[str]:
        """Networks whose kernels `doctor` compiles beyond APF-GAN's, as an argument."""
        networks = self.config.networks().extra_kernels()
        return ["--networks", json.dumps(networks, sort_keys=True)] if networks else []

    def largest_job(self) -> int:
        """GPUs of the job that has most of them, where there are GPUs: one for each of its processes."""
        return max(self.config.pretrain.processes, self.config.finetune.processes)

    # --- data -----------------------------------------------------------------------------------------

    def raw_data(self) -> dict[str, object]:
        """Inputs of `validate` that Snakemake has to make or watch itself.

        In the names of inputs Snakemake takes braces for wildcards: files with such names are in `fingerprint`.
        """
        inputs: dict[str, object] = {name: path for name, path in self._lists().items() if not set("{}") & set(path)}
        return inputs | ({"landscapes": "results/{run}/landscapes"} if self.config.landscapes else {})

    def _lists(self) -> dict[str, str]:
        """The user's lists that `validate` reads besides the folders."""
        files = {"exclude": self.config.data.exclude, "scenes": self._scenes()}
        return {name: path for name, path in files.items() if path}

    def folders(self) -> dict[str, str]:
        """Folders of photographs, label maps and, where there are any, instance maps, as `validate` calls them."""
        data = self.config.data
        if self.config.landscapes:
            options = LAYOUTS["competition"].usual(f"results/{self.config.run}/landscapes")
            found = {option: str(options[option]) for option in FOLDERS}
        else:
            found = {option: str(getattr(data, option)) for option in FOLDERS} | self._instances()
        return {option.replace("_", "-"): path for option, path in found.items()}

    def _instances(self) -> dict[str, str]:
        """Folders of instance maps: those that are named, else the layout's if it holds any."""
        data, found = self.config.data, {}
        layout = LAYOUTS[data.layout]
        for option in INSTANCES:
            usual = Path(data.root, layout.folders[option]) if option in layout.folders else None
            if named := getattr(data, option):
                found[option] = str(named)
            elif usual and layout.find(usual, option):
                found[option] = str(usual)
        return found

    def prepared_instances(self) -> list[str]:
        """Instance maps of the training pairs, where edges are made of them."""
        return ["results/{run}/prepare/instances.npy"] if self.config.model.edges == "instance" else []

    def _scenes(self) -> str:
        """The file that tells which images the layout takes, if it does and is there."""
        file = Path(self.config.data.root, LAYOUTS[self.config.data.layout].scenes)
        return str(file) if file.is_file() else ""

    def validate_arguments(self) -> list[str]:
        """Paths on the command line of `validate`, each in one word: one may begin with a dash."""
        return [f"--{name}={path}" for name, path in (self.folders() | self._lists()).items()]

    def fingerprint(self) -> str:
        """Digest of names and contents of all files of the data folders (of drawn data: of how it is drawn).

        A file is read when it is new or its size, time or inode has changed; they are remembered in the run's folder.
        """
        if self.config.landscapes:
            return "drawn"
        layout, folders = LAYOUTS[self.config.data.layout], self.folders()
        files = {name: list(layout.files(Path(path))) for name, path in folders.items()}
        files["lists"] = [Path(path) for path in self._lists().values() if path not in self.raw_data().values()]
        memory = Path("results") / self.config.run / STATES / "contents.json"
        contents = content_digests([file for found in files.values() for file in found], memory)
        listed = {
            name: sorted(
                [printable(os.path.relpath(file, folders.get(name, "."))), contents[str(file)]] for file in found
            )
            for name, found in files.items()
        }
        return digest([[name, found] for name, found in listed.items() if found or name in folders])

    # --- weights of others ------------------------------------------------------------------------------

    def score_weights(self) -> list[str]:
        """The Inception file where a metric needs it."""
        return [str(weight_path(name)) for name in weights_of(self.config.score.metrics) & {"fid_inception"}]

    def perceptual_weights(self, phase: str) -> list[str]:
        """The file of the phase's perceptual network, where it has one."""
        net = (self.config.pretrain if phase == "pretrain" else self.config.finetune).perceptual.net
        if net == "none" or WEIGHT_FILES[PERCEPTUAL[net]].installed:  # set-up's files change their times, no content
            return []
        return [str(weight_path(PERCEPTUAL[net]))]

    def segmenter(self, run: str) -> list[str]:
        """The segmenter's file where a metric needs it: the user's, or the one this run trains; none is built in."""
        if not need_segmenter(self.config.score.metrics) or self.config.segmenter.weights == BUILTIN:
            return []
        return [self.config.segmenter.weights or f"results/{run}/segmenter/segmenter.safetensors"]

    def scorers(self, input: Any) -> list[str]:
        """Networks of a scoring job, as arguments."""
        weights = ["--weights-file", *input.weights] if input.weights else []
        builtin = need_segmenter(self.config.score.metrics) and self.config.segmenter.weights == BUILTIN
        segmenter = [BUILTIN] if builtin else list(input.segmenter)
        return weights + (["--segmenter", *segmenter] if segmenter else [])

    # --- training ---------------------------------------------------------------------------------------

    def resolutions(self) -> list[str]:
        """Names of the training resolutions, smallest first, e.g. 064x048 to 512x384."""
        data = self.config.data
        stages = schedule(self.config.pretrain.epochs, self.config.model.sizes).stages()
        return [f"{data.width // divisor:03d}x{data.height // divisor:03d}" for divisor, _, _ in stages]

    def finetuned_weights(self) -> list[str]:
        """Weights of every epoch of fine-tuning from the first to the last scored one, below the run's folder."""
        epochs = range(self.config.score.first, self.config.score.last + 1)
        return [f"finetune/{epoch_name(epoch)}.safetensors" for epoch in epochs]

    def state_before(self, run: str, resolution: str) -> list[str]:
        """Training state the resolution starts from: nothing for the first."""
        index = self.resolutions().index(resolution)
        return [f"results/{run}/pretrain/{self.resolutions()[index - 1]}.state.safetensors"] if index else []

    def pretrained(self, run: str) -> str:
        """State at the end of pretraining."""
        return f"results/{run}/pretrain/{self.resolutions()[-1]}.state.safetensors"

    def epoch_before(self, run: str, epoch: int) -> list[str]:
        """The checkpoint a fine-tuning job comes after: nothing for the first scored epoch.

        An epoch that is there keeps the one it came after: with other inputs Snakemake would train it again
        where only `score.first` has moved.
        """
        note = Path(f"results/{run}/finetune/after/{epoch:03d}")
        if self.finetuned and note.is_file():
            return note.read_text(encoding="utf-8").split("\n")[:1] if note.stat().st_size > 1 else []
        return (
            [f"results/{run}/finetune/{epoch_name(epoch - 1)}.safetensors"] if epoch > self.config.score.first else []
        )

    @functools.cached_property
    def finetuned(self) -> bool:
        """Whether the epochs that are there were trained under today's settings. Asked once: jobs rewrite them."""
        run = self.config.run
        return recorded_settings(Path("results") / run, "finetune") == self.settings(run, "finetune")

    @functools.cached_property
    def averaged_epoch(self) -> str:
        """The epoch whose moving average is written and is a candidate, as `310`; "" where there is none.

        It is the last scored one; averages of others could not be chosen. Where that epoch is there already and was
        not the last when it was trained, there is none: fine-tuning would begin again for it. Asked once, as above.
        """
        last = f"{self.config.score.last:03d}"
        weights, average = (Path(f"results/{self.config.run}/finetune/{kind}_{last}.safetensors")
                            for kind in ("epoch", "ema"))  # fmt: skip
        earlier = weights.is_file() and not average.is_file() and self.finetuned
        return last if self.config.finetune.ema and not earlier else ""

    def without_average(self) -> str:
        """Pattern of the epochs whose moving average is not written."""
        return rf"(?!{self.averaged_epoch}\b)\d\d\d+" if self.averaged_epoch else r"\d\d\d+"

    def with_average(self) -> str:
        """Pattern of the epoch whose moving average is written; it fits none where there is none."""
        return self.averaged_epoch or "(?!)"

    def said_of_average(self) -> str:
        """Return a warning if a moving average is configured but cannot be written; else an empty text."""
        if not self.config.finetune.ema or self.averaged_epoch:
            return ""
        return (
            f"no moving average among the candidates: epoch {self.config.score.last} was trained when it was not the "
            "last scored one, and only the last one's average is written"
        )

    # --- generating, scoring and choosing -----------------------------------------------------------------------------

    def sets(self) -> list[str]:
        """Names of the sets of label maps that images are generated for."""
        train = ["train"] if self.config.select.on == "train" else []
        return [*train, *(["holdout"] if self.config.data.holdout else []), "test"]

    def train_labels(self) -> list[str]:
        """The training pairs, where their label maps are to decide."""
        return ["results/{run}/validate/train.csv"] if self.config.select.on == "train" else []

    def labels(self, wildcards: object, input: Any) -> list[str]:
        """Label maps of a generating or scoring job, as `set=manifest`."""
        return [f"{name}={getattr(input, name)}" for name in self.sets()]

    def images(self, wildcards: object, input: Any) -> list[str]:
        """Images of a scoring job, as `set=folder`."""
        return [f"{name}={input.images}/{name}" for name in self.sets()]

    def checkpoint_scores(self, run: str) -> list[str]:
        """Scores of all checkpoints."""
        return [f"results/{run}/score/{epoch_name(epoch)}.json" for epoch in self.config.score.epochs()]

    @staticmethod
    def members(run: str, subset: str) -> list[str]:
        """Checkpoints of an average named `271+299`."""
        return [f"results/{run}/finetune/epoch_{epoch}.safetensors" for epoch in subset.split("+")]

    @property
    def estimates(self) -> bool:
        """Whether averaging runs the network, to estimate running statistics; it then needs what training needs."""
        return self.config.merge.batch_norm == "estimated"

    def estimated_on(self, run: str) -> list[str]:
        """Label maps on which an average's running statistics are estimated, where they are."""
        return [f"results/{run}/prepare/label_maps.npy"] if self.estimates else []

    def examined_for_averages(self, run: str) -> list[str]:
        """The machine's examination and compilation, where averaging runs the network."""
        return [f"results/{run}/doctor.json"] if self.estimates else []

    @staticmethod
    def weights_of(run: str, model: str) -> str:
        """Weights file of a checkpoint, a moving average or an average."""
        return f"results/{run}/{'merge' if '+' in model else 'finetune'}/{model}.safetensors"

    def soups(self) -> range:
        """Return the numbers of best checkpoints that soups are chosen from: 2, 3, ..."""
        return range(2, min(self.config.select.soup, len(self.config.score.epochs())) + 1)

    def soup_choices(self) -> list[str]:
        """The soups that further ones are made of: all but the last, which is a candidate like others."""
        return [f"results/{{run}}/select/soup_{tried}.json" for tried in self.soups()[:-1]]

    @staticmethod
    def soup_before(run: str, tried: int) -> list[str]:
        """The soup that one more checkpoint may join: none for the first."""
        return [f"results/{run}/select/soup_{tried - 1}.json"] if tried > 2 else []

    def candidates(self, chosen: list[str], trials: Sequence[str] = ()) -> list[str]:
        """The chosen checkpoints, the average of every subset of them, the soup's `trials`, the moving average.

        Names do not depend on rank.
        """
        subsets = [s for size in range(2, len(chosen) + 1) for s in itertools.combinations(sorted(chosen), size)]
        averages = [average_name(subset) for subset in subsets]
        moving = [f"ema_{self.averaged_epoch}"] if self.averaged_epoch else []
        return list(dict.fromkeys([*sorted(chosen), *averages, *trials, *moving]))
