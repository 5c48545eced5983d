"""File names that connect the rules, and checks made before planning.

Everything Snakemake needs to know about a configuration in plain Python, so that it can be tested; `rules/*.smk` only
say which stage reads and writes what.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shanshui.architectures.schedule import schedule
from shanshui.backend import gpu_lock, waiting
from shanshui.compression.student_names import STUDENT, is_student, teacher_of
from shanshui.config.schema import Config
from shanshui.config.sections import PERCEPTUAL
from shanshui.config.settings import stage_settings
from shanshui.config.stages import with_own_rules, with_settings
from shanshui.data.contents import content_digests
from shanshui.data.layouts import FOLDERS, INSTANCES, LAYOUTS
from shanshui.metrics.registry import need_segmenter, weights_of
from shanshui.pipeline.code_changes import CODE, counted_digest, read_accepted, recorded_settings, remember
from shanshui.pipeline.retention import STATES
from shanshui.storage.files import digest
from shanshui.storage.names import printable
from shanshui.weights.builtin import BUILTIN
from shanshui.weights.catalogue import FOLDER, WEIGHT_FILES

if TYPE_CHECKING:
    from snakemake.io import InputFiles

    from shanshui.evaluation.selection import Ranking


def weight_path(name: str) -> Path:
    """Return the path of the weight file `name`."""
    return FOLDER / WEIGHT_FILES[name].file


def epoch_name(epoch: int) -> str:
    """Return the name of a checkpoint of fine-tuning."""
    return f"epoch_{epoch:03d}"


def average_name(models: Iterable[str]) -> str:
    """Return `271+299` for the average of epoch_271 and epoch_299, or of averages of them, in any order."""
    return "+".join(sorted({epoch for model in models for epoch in model.removeprefix("epoch_").split("+")}))


def prepare_environment(source: Path, own_python: bool, config: Config) -> None:
    """Set the environment of every job: path of this package, Python (Snakemake's or conda's), GPUs.

    Jobs in Snakemake's own Python keep the user's `PYTHONPATH` after this package, and so the plug-ins found there.
    """
    inherited = os.environ.get("PYTHONPATH", "") if own_python else ""
    folders = [str(source), *(folder for folder in inherited.split(os.pathsep) if folder and folder != str(source))]
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)
    if own_python:
        os.environ["PATH"] = str(Path(sys.executable).parent) + os.pathsep + os.environ.get("PATH", "")
    if config.gpus == 0:
        os.environ["SHANSHUI_DEVICE"] = "cpu"
    waiting.let_waiting_threads_sleep()
    os.environ[gpu_lock.GPUS] = ",".join(map(str, config.gpus)) if isinstance(config.gpus, list) else gpu_lock.AUTO
    os.environ[gpu_lock.JOBS_PER_GPU] = str(config.jobs_per_gpu)


@dataclass(frozen=True)
class RunPaths:
    """File names of one configuration's run."""

    config: Config

    # --- what there can be --------------------------------------------------------------------------------

    def wildcards(self) -> dict[str, str]:
        """Return constraints of the wildcards, which exclude files of other runs and schedules."""
        one = "|".join(f"{epoch:03d}" for epoch in self._epochs())
        epoch, stages = f"(?:{one})", "|".join(with_settings())
        average = rf"{epoch}(?:\+{epoch})+"
        teacher = f"(?:(?:epoch|ema)_{epoch}|{average})"
        return {
            "run": re.escape(self.config.run), "stage": f"(?:{stages})", "epoch": epoch, "subset": average,
            "resolution": f"(?:{'|'.join(self.resolutions())})", "model": f"(?:(?:{STUDENT}_of_)?{teacher})",
            "seed": r"\d+", "tried": r"\d+", "student": STUDENT, "teacher": teacher,
        }  # fmt: skip

    def _epochs(self) -> range:
        """Return the epochs of fine-tuning."""
        first = self.config.pretrain.epochs + 1
        return range(first, first + self.config.finetune.epochs)

    def is_current(self, choice: Ranking, seeds: bool = False) -> bool:
        """Return whether a choice is still valid: of scored epochs and, with `seeds`, of listed seeds."""
        scored = {f"{epoch:03d}" for epoch in self.config.score.epochs()}
        models = [re.sub("^(epoch|ema)_", "", teacher_of(model)) for model in choice["chosen"]]
        epochs = {epoch for model in models for epoch in model.split("+")}
        return epochs <= scored and (not seeds or set(choice["chosen_seeds"]) <= set(self.config.infer.seeds))

    # --- the machine and the code -------------------------------------------------------------------------

    def settings(self, run: str, stage: str) -> dict[str, object]:
        """Return what a stage's results depend on: its options and the digest of the code it imports."""
        code = counted_digest(stage, read_accepted(Path("results") / run))
        return {**stage_settings(self.config, stage), CODE: code}

    def remember_code(self) -> None:
        """Record which modules the code digests of the settings cover, for `explain`."""
        remember(Path("results") / self.config.run, with_settings())

    @staticmethod
    def added_rules() -> list[str]:
        """Return the files with the rules of plug-ins' stages."""
        return [str(stage.snakefile) for stage in with_own_rules()]

    def added_outputs(self) -> list[str]:
        """Return what plug-ins' stages make, in data-flow order."""
        return [f"results/{self.config.run}/{name}" for stage in with_own_rules() for name in stage.outputs(self)]

    def other_networks(self) -> str:
        """Return a digest of networks other than APF-GAN's, which need other kernels; "" for APF-GAN's."""
        networks = self.config.networks()
        return "" if networks.discriminator.grows else digest(networks.minimal())

    def largest_job(self) -> int:
        """Return the largest number of GPUs of a job: one for each of its processes."""
        return max(self.config.pretrain.processes, self.config.finetune.processes)

    # --- data -----------------------------------------------------------------------------------------

    def raw_data(self) -> dict[str, object]:
        """Return the inputs of `validate` that Snakemake has to make or watch itself.

        Snakemake reads braces in names of inputs as wildcards: files with such names are in `fingerprint`.
        """
        inputs: dict[str, object] = {name: path for name, path in self._lists().items() if not set("{}") & set(path)}
        return inputs | ({"landscapes": "results/{run}/landscapes"} if self.config.landscapes else {})

    def _lists(self) -> dict[str, str]:
        """Return the user's lists that `validate` reads in addition to the folders."""
        files = {"exclude": self.config.data.exclude, "scenes": self._scenes()}
        return {name: path for name, path in files.items() if path}

    def folders(self) -> dict[str, str]:
        """Return the folders of photographs, label maps and instance maps, if any, by options of `validate`."""
        data = self.config.data
        if self.config.landscapes:
            options = LAYOUTS["competition"].usual(f"results/{self.config.run}/landscapes")
            found = {option: str(options[option]) for option in FOLDERS}
        else:
            found = {option: str(getattr(data, option)) for option in FOLDERS} | self._instances()
        return {option.replace("_", "-"): path for option, path in found.items()}

    def _instances(self) -> dict[str, str]:
        """Return the folders of instance maps: those configured, else the layout's if it has any."""
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
        """Return the prepared instance maps, if edges are computed from them."""
        return ["results/{run}/prepare/instances.npy"] if self.config.model.edges == "instance" else []

    def _scenes(self) -> str:
        """Return the layout's list of scenes, if it has one that exists; else ""."""
        file = Path(self.config.data.root, LAYOUTS[self.config.data.layout].scenes)
        return str(file) if file.is_file() else ""

    def validate_arguments(self) -> list[str]:
        """Return the paths on the command line of `validate`, as `--option=path`: a path may begin with a dash."""
        return [f"--{name}={path}" for name, path in (self.folders() | self._lists()).items()]

    def fingerprint(self) -> str:
        """Compute a digest of names and contents of all files in the data folders; a constant for embedded data.

        A file is read only if it is new or its size, time or inode has changed; these are kept in the run's folder.
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
        """Return the weight file of Inception, if a metric needs it."""
        return [str(weight_path(name)) for name in weights_of(self.config.score.metrics) & {"fid_inception"}]

    def perceptual_weights(self, phase: str) -> list[str]:
        """Return the weight file of the phase's perceptual network, if it has one that set-up does not install."""
        config = self.config
        losses = {"pretrain": config.pretrain.perceptual, "finetune": config.finetune.perceptual}
        net = losses.get(phase, config.compress.perceptual).net
        if net == "none" or WEIGHT_FILES[PERCEPTUAL[net]].installed:  # set-up's files change their times, no content
            return []
        return [str(weight_path(PERCEPTUAL[net]))]

    def segmenter(self, run: str) -> list[str]:
        """Return the segmenter's file, if a metric needs one: the user's, or the one this run trains."""
        if not need_segmenter(self.config.score.metrics) or self.config.segmenter.weights == BUILTIN:
            return []
        return [self.config.segmenter.weights or f"results/{run}/segmenter/segmenter.safetensors"]

    def scorers(self, input: InputFiles) -> list[str]:
        """Return the networks of a scoring job as arguments."""
        weights = ["--weights-file", *input.weights] if input.weights else []
        builtin = need_segmenter(self.config.score.metrics) and self.config.segmenter.weights == BUILTIN
        segmenter = [BUILTIN] if builtin else list(input.segmenter)
        return weights + (["--segmenter", *segmenter] if segmenter else [])

    # --- training ---------------------------------------------------------------------------------------

    def resolutions(self) -> list[str]:
        """Return the names of the training resolutions, smallest first, e.g. 064x048 to 512x384."""
        size = self.config.data.size
        stages = schedule(self.config.pretrain.epochs, self.config.model.sizes).stages()
        return [f"{size.divided(divisor):03d}" for divisor, _, _ in stages]

    def finetuned_weights(self) -> list[str]:
        """Return the weights of every epoch from the first to the last scored one, relative to the run's folder."""
        epochs = range(self.config.score.first, self.config.score.last + 1)
        return [f"finetune/{epoch_name(epoch)}.safetensors" for epoch in epochs]

    def state_before(self, run: str, resolution: str) -> list[str]:
        """Return the training state that a resolution starts from; none for the first."""
        index = self.resolutions().index(resolution)
        return [f"results/{run}/pretrain/{self.resolutions()[index - 1]}.state.safetensors"] if index else []

    def pretrained(self, run: str) -> str:
        """Return the training state at the end of pretraining."""
        return f"results/{run}/pretrain/{self.resolutions()[-1]}.state.safetensors"

    def epoch_before(self, run: str, epoch: int) -> list[str]:
        """Return the checkpoint that a fine-tuning job continues from; none for the first scored epoch.

        An epoch that exists keeps the one it was trained after: with other inputs Snakemake would train it again if
        only `score.first` has changed.
        """
        note = Path(f"results/{run}/finetune/after/{epoch:03d}")
        if self.finetuned and note.is_file():
            return note.read_text(encoding="utf-8").split("\n")[:1] if note.stat().st_size > 1 else []
        return (
            [f"results/{run}/finetune/{epoch_name(epoch - 1)}.safetensors"] if epoch > self.config.score.first else []
        )

    @functools.cached_property
    def finetuned(self) -> bool:
        """Whether the existing epochs were trained with the present settings; read once, since jobs rewrite these."""
        run = self.config.run
        return recorded_settings(Path("results") / run, "finetune") == self.settings(run, "finetune")

    @functools.cached_property
    def averaged_epoch(self) -> str:
        """The epoch whose moving average is written and is a candidate, as `310`; "" if there is none.

        It is the last scored one; averages of others could not be chosen. If that epoch exists already and was not the
        last when it was trained, there is none: fine-tuning would start again for it. Read once, as above.
        """
        last = f"{self.config.score.last:03d}"
        weights, average = (Path(f"results/{self.config.run}/finetune/{kind}_{last}.safetensors")
                            for kind in ("epoch", "ema"))  # fmt: skip
        earlier = weights.is_file() and not average.is_file() and self.finetuned
        return last if self.config.finetune.ema and not earlier else ""

    def without_average(self) -> str:
        """Return a pattern of the epochs whose moving average is not written."""
        return rf"(?!{self.averaged_epoch}\b)\d\d\d+" if self.averaged_epoch else r"\d\d\d+"

    def with_average(self) -> str:
        """Return a pattern of the epoch whose moving average is written; it matches none if there is none."""
        return self.averaged_epoch or "(?!)"

    def average_warning(self) -> str:
        """Return a warning if a moving average is configured but cannot be written; else an empty text."""
        if not self.config.finetune.ema or self.averaged_epoch:
            return ""
        return (
            f"no moving average among the candidates: epoch {self.config.score.last} was trained when it was not the "
            "last scored one, and only the last one's average is written"
        )

    # --- generating, scoring and choosing -----------------------------------------------------------------------------

    def sets(self) -> list[str]:
        """Return the names of the sets of label maps that images are generated for."""
        train = ["train"] if self.config.select.on == "train" else []
        return [*train, *(["holdout"] if self.config.data.holdout else []), "test"]

    def train_labels(self) -> list[str]:
        """Return the manifest of training pairs, if models are chosen on them."""
        return ["results/{run}/validate/train.csv"] if self.config.select.on == "train" else []

    def labels(self, wildcards: object, input: InputFiles) -> list[str]:
        """Return the label maps of a generating or scoring job, as `set=manifest`."""
        return [f"{name}={getattr(input, name)}" for name in self.sets()]

    def images(self, wildcards: object, input: InputFiles) -> list[str]:
        """Return the images of a scoring job, as `set=folder`."""
        return [f"{name}={input.images}/{name}" for name in self.sets()]

    def checkpoint_scores(self, run: str) -> list[str]:
        """Return the score files of all checkpoints."""
        return [f"results/{run}/score/{epoch_name(epoch)}.json" for epoch in self.config.score.epochs()]

    @staticmethod
    def members(run: str, subset: str) -> list[str]:
        """Return the checkpoints of an average named `271+299`."""
        return [f"results/{run}/finetune/epoch_{epoch}.safetensors" for epoch in subset.split("+")]

    @property
    def estimates(self) -> bool:
        """Whether averaging runs the network to estimate running statistics; it then needs the same as training."""
        return self.config.merge.batch_norm == "estimated"

    def estimated_on(self, run: str) -> list[str]:
        """Return the label maps on which an average's running statistics are estimated, if they are."""
        return [f"results/{run}/prepare/label_maps.npy"] if self.estimates else []

    def examined_for_averages(self, run: str) -> list[str]:
        """Return the result of `doctor`, if averaging runs the network."""
        return [f"results/{run}/doctor.json"] if self.estimates else []

    @staticmethod
    def weights_of(run: str, model: str) -> str:
        """Return the weights file of a checkpoint, a moving average, an average or a student."""
        folder = "compress" if is_student(model) else "merge" if "+" in model else "finetune"
        return f"results/{run}/{folder}/{model}.safetensors"

    def compared_students(self) -> list[str]:
        """Return the comparison of the chosen model with its students, and their images, if there are students."""
        there = bool(self.config.compress.shares)
        return [f"results/{{run}}/compress/{name}" for name in ("report.json", "strip.png") if there]

    def soups(self) -> range:
        """Return the numbers of best checkpoints that soups are chosen from: 2, 3, ..."""
        return range(2, min(self.config.select.soup, len(self.config.score.epochs())) + 1)

    def soup_choices(self) -> list[str]:
        """Return the choices of soups that others are built on: all but the last, which is only a candidate."""
        return [f"results/{{run}}/select/soup_{tried}.json" for tried in self.soups()[:-1]]

    @staticmethod
    def soup_before(run: str, tried: int) -> list[str]:
        """Return the choice of the soup that one more checkpoint may be added to; none for the first."""
        return [f"results/{run}/select/soup_{tried - 1}.json"] if tried > 2 else []

    def candidates(self, chosen: list[str], trials: Sequence[str] = ()) -> list[str]:
        """Return the chosen checkpoints, averages of all their subsets, the soups' `trials` and the moving average.

        Names do not depend on rank.
        """
        subsets = [s for size in range(2, len(chosen) + 1) for s in itertools.combinations(sorted(chosen), size)]
        averages = [average_name(subset) for subset in subsets]
        moving = [f"ema_{self.averaged_epoch}"] if self.averaged_epoch else []
        return list(dict.fromkeys([*sorted(chosen), *averages, *trials, *moving]))
