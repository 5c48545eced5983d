"""Load the configuration, report errors in it, and select the settings of each stage."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from shanshui.architectures.base import INIT_GAIN
from shanshui.config.model_section import PARTS, misplaced, owners_of, without_effect
from shanshui.config.schema import Config
from shanshui.config.sections import PERCEPTUAL, OnGpu
from shanshui.config.stages import plugin_sections, stages
from shanshui.data.layouts import INSTANCES, LAYOUTS, completed
from shanshui.errors import UsageError
from shanshui.metrics.registry import weights_of
from shanshui.weights.builtin import BUILTIN

CODE = "code"  # of a settings file: the digest of the code that the stage depends on; Snakemake's, not the stage's


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `over` into `base` as Snakemake does: mappings are merged, everything else (lists too) is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def _section_at(location: Sequence[int | str]) -> type[BaseModel] | None:
    """Return the class of the options at `location`, to suggest names for a misspelt one."""
    section: type[BaseModel] = Config
    for name in location:
        field = section.model_fields.get(str(name))
        if field is None:
            return None
        kinds = [field.annotation, *get_args(field.annotation)]
        section = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), section)
    return section


def _as_written(words: Mapping[tuple[str, ...], str], location: Sequence[int | str], value: object) -> str:
    """Explain that YAML read a `value` from another word; empty if it is the word as written."""
    word = words.get(tuple(map(str, location)))
    if word is None or word == str(value):
        return ""
    return f" ({word or 'nothing'} is written, which YAML takes for {str(value).lower()}; a name goes in quotes)"


def _elsewhere(name: str) -> str:
    """Suggest where an option `name` or `section.name` belongs; empty if no section has it."""
    last = name.rpartition(".")[2]
    found = [section for section in Config.model_fields if last in getattr(_section_at([section]), "model_fields", {})]
    found = [section for section in found if name in (last, f"{section}.{last}") and last not in Config.model_fields]
    if name in (last, f"model.{last}") and (networks := list(owners_of(last))) and last not in Config.model_fields:
        return f"; indent it below `model:`, {' or '.join(networks)}"
    if not found:
        return ""
    return f"; indent it below `{'`, `'.join(f'{section}:' for section in found)}`"


def _of_network(location: list[int | str], error: Mapping[str, Any]) -> str | None:
    """Explain what is wrong with the section of a network as a whole; None for a value in it.

    The network's name is removed from `location`, where pydantic inserts it.
    """
    if len(location) < 2 or location[0] != "model" or location[1] not in PARTS:
        return None
    part, names = str(location[1]), list(PARTS[str(location[1])])
    if error["type"] == "union_tag_not_found":
        return f"model.{part}: no name, which says whose options these are: `name:` {', '.join(names)}"
    if error["type"] == "union_tag_invalid":
        wrong = error["input"]["name"] if isinstance(error["input"], Mapping) else error["input"]
        close = difflib.get_close_matches(str(wrong), names, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"model.{part}: there is no {part} {wrong!r}, but {', '.join(names)}{hint}"
    if len(location) < 3:
        return None
    name = str(location.pop(2))
    if error["type"] == "extra_forbidden" and len(location) == 3:
        return f"model.{part}.{location[2]}: {misplaced(part, name, str(location[2]))}"
    return None


def _explain(error: Mapping[str, Any], words: Mapping[tuple[str, ...], str]) -> str:
    location = [part for part in error["loc"] if part != "function-after"]
    if of_network := _of_network(location, error):
        return of_network
    place = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        section = _section_at(location[:-1])
        close = difflib.get_close_matches(str(location[-1]), list(section.model_fields) if section else [], 1)
        hint = (_elsewhere(place) if len(location) == 1 or location[0] == "model" else "") or (
            f"; did you mean `{close[0]}`?" if close else ""
        )
        return f"{place}: there is no such option{hint}"
    if error["type"] == "model_type" and error["input"] is None:
        return f"{place}: nothing stands below it; indent its options, or leave the line out"
    if error["type"] == "string_pattern_mismatch":
        return f"{place}: letters, digits, `.`, `_` and `-`, the first a letter or digit, found {error['input']!r}"
    message = str(error["msg"]).removeprefix("Value error, ")
    given = "" if error["type"] == "value_error" else f", found {error['input']!r}"
    given += "" if error["type"] == "invalid_key" else _as_written(words, location, error["input"])
    return f"{place}: {message}{given}" if place else message


def own_options(layer: Mapping[str, object]) -> Mapping[str, object]:
    """Return the options that a file or command line sets on purpose: none if it has every section.

    Such a file, like `config.yaml`, lists defaults for all networks; only what differs from them is the user's choice.
    """
    return {} if Config.model_fields.keys() - plugin_sections().keys() <= set(layer) else layer


def validate(
    raw: Mapping[str, Any],
    source: str = "the configuration",
    given: Mapping[str, Any] | None = None,
    words: Mapping[tuple[str, ...], str] | None = None,
) -> Config:
    """Check raw YAML values and return them as a `Config`.

    Args:
        raw: nested mappings.
        source: how error messages call the configuration.
        given: the part of `raw` that the user set, above the defaults of `config.yaml`; by default all of it, unless it
            has every section. An option in it that has no effect with the chosen networks is a mistake.
        words: plain words of the files by place, to name those that YAML reads as something else.

    Raises:
        UsageError: lists every mistake by the option's name.
    """
    data = raw.get("data")
    whole = {**raw, "data": completed(data)} if isinstance(data, Mapping) else dict(raw)
    try:
        config = Config.model_validate(whole, context={"given": own_options(raw if given is None else given)})
    except ValidationError as error:
        mistakes = [_explain(dict(item), words or {}) for item in error.errors(include_url=False)]
        raise UsageError(
            f"{source} has {len(mistakes)} mistake(s):\n" + "\n".join(f"  {m}" for m in mistakes)
        ) from None
    if config.landscapes and config.data.layout != "competition":
        raise UsageError(
            f"{source} draws landscapes, and data.layout is {config.data.layout}",
            "data.layout competition, in which they are drawn",
            "set landscapes to null",
        )
    if config.model.edges == "instance":
        _check_instances(config, source)
    return config


def validate_recorded(shown: object, source: str) -> Config:
    """Check the entry `config` of a report's settings, which lists every option, and return it as a `Config`.

    Args:
        shown: the entry.
        source: how error messages call the file.

    Raises:
        UsageError: it is no configuration, or has mistakes.
    """
    if not isinstance(shown, Mapping):
        raise UsageError(f"{source} holds no configuration", "settings/report.json of a run, as Snakemake starts with")
    return validate(shown, f"{source}, config", given={})


def _check_instances(config: Config, source: str) -> None:
    """Check that the dataset can have instance maps; raise UsageError if not."""
    data, layout = config.data, LAYOUTS[config.data.layout]
    lacking = [option for option in INSTANCES if not getattr(data, option) and option not in layout.folders]
    if config.landscapes or lacking:
        what = "drawn landscapes" if config.landscapes else f"data.layout {data.layout}"
        raise UsageError(
            f"{source}: model.edges instance, and {what} without instance maps",
            "data.train_instances and data.test_instances, or a layout that has them: coco-stuff, cityscapes",
            "use `edges: label`, boundaries of classes",
        )


def load_config(paths: Sequence[str | Path]) -> Config:
    """Read YAML files, later ones override earlier ones, and check the result.

    Raises:
        UsageError: a file cannot be read, or has mistakes.
    """
    from shanshui.config.yaml_file import read_yaml

    raw: dict[str, Any] = {}
    given: dict[str, Any] = {}
    words: dict[tuple[str, ...], str] = {}
    for path in paths:
        part, written = read_yaml(path)
        raw, given, words = merge(raw, part), merge(given, own_options(part)), words | written
    return validate(raw, " + ".join(map(str, paths)), given, words)


LABELS = {"classes", "label_offset", "ignore_label"}  # what the numbers in a label map mean
SIZE = {"width", "height"}


def without_defaults(numbers: Mapping[str, object]) -> dict[str, object]:
    """Return options without those of `OnGpu` at their defaults: what was computed before there were any stays."""
    return {
        name: value
        for name, value in numbers.items()
        if name not in OnGpu.model_fields or value != OnGpu.model_fields[name].default
    }


def generate_settings(config: Config) -> dict[str, object]:
    """Return the settings of `generate`: the section but for its batch, and how images are rounded."""
    own = without_defaults(config.generate.model_dump(exclude={"batch"}))
    return {**own, "rounding": config.parity.resolved()["rounding"]}


def training_settings(config: Config, phase: str) -> dict[str, Any]:
    """Return the settings of one training phase; the epochs of fine-tuning are file names, not settings."""
    section = config.pretrain if phase == "pretrain" else config.finetune
    numbers = section.model_dump(exclude={"snapshot_minutes", "log_every", *without_effect(config.model, phase)})
    if numbers.get("gan") == "hinge":
        del numbers["gan"]  # as it was before there were others: what was trained then stays
    if numbers.get("init_gain") == INIT_GAIN:
        del numbers["init_gain"]  # likewise
    if numbers["accumulate"] == 1:
        del numbers["accumulate"]  # likewise
    numbers = without_defaults(numbers)
    if phase == "finetune" and not section.lr_decay_epochs:
        del numbers["epochs"]  # more epochs must not retrain the first ones
    data = config.data.model_dump(
        include={"classes", "width", "height", "load_width", "flip", "label_offset", "ignore_label"}
    )
    parity = {k: v for k, v in config.parity.resolved().items() if k != "rounding"}
    return {
        "seed": config.seed, "data": data, **config.networks().sections(), "parity": parity,
        "preset": config.parity.preset, "pretrain_epochs": config.pretrain.epochs, phase: numbers,
    }  # fmt: skip


def student_settings(config: Config) -> dict[str, Any]:
    """Return the settings of `compress`: those of fine-tuning and its own; which students there are is in file names.

    They are empty where there are no students.
    """
    if not config.compress.shares:
        return {}
    own = config.compress.model_dump(exclude={"shares", "control", "submit"})
    return {**training_settings(config, "finetune"), "compress": own}


def metric_settings(config: Config) -> dict[str, Any]:
    """Return the settings of `reference`: metrics, image size, seed and label rules."""
    size = list(config.data.size.width_first)
    labels = config.data.model_dump(include=LABELS)
    seen = list(config.segmenter.size.width_first)  # others bring their own size in their files
    builtin = {"segmenter_size": seen} if config.segmenter.weights == BUILTIN else {}
    return {"metrics": config.score.metrics, "size": size, "seed": config.seed, **labels, **builtin}


def score_settings(config: Config) -> dict[str, Any]:
    """Return the settings of `score`: those of `reference` and the aesthetic command, if any."""
    command = config.score.aesthetic_command
    return {**metric_settings(config), **({"aesthetic_command": command} if command else {})}


def choice_settings(config: Config) -> dict[str, Any]:
    """Return the settings of model selection: metric and set."""
    return {"rank_by": config.score.rank_by, "on": config.select.on}


def arithmetic_text(config: Config) -> str:
    """Say in which precision networks were trained and images generated; "" where all is as on a CPU."""
    said = []
    for name in ("pretrain", "finetune", "generate"):
        section: OnGpu = getattr(config, name)
        said.append(f"{name} {section.precision}{', deterministic' * section.deterministic}")
    return "; ".join(said) if any(not text.endswith(" fp32") for text in said) else ""


def table_settings(config: Config) -> dict[str, object]:
    """Return the settings of `table`: those of model selection, and the precision where it is not that of a CPU."""
    text = arithmetic_text(config)
    return {**choice_settings(config), **({"arithmetic": text} if text else {})}


def recorded_options(config: Config) -> dict[str, Any]:
    """Return the configuration for the report, without options that change no result."""
    shown = config.model_dump(mode="json")
    for section, option in (
        ("pretrain", "snapshot_minutes"),
        ("pretrain", "log_every"),
        ("finetune", "snapshot_minutes"),
        ("finetune", "log_every"),
        ("generate", "batch"),
    ):
        del shown[section][option]
    del shown["gpus"], shown["jobs_per_gpu"]
    return shown


def stage_settings(config: Config, stage: str) -> dict[str, Any]:
    """Return the options that the results of `stage` depend on; while they are equal, it need not run again."""
    record = stages()[stage]
    return record.settings(config) if record.settings else {}


def needed_weights(config: Config) -> list[str]:
    """Return the names of the pretrained weight files that this configuration needs (`shanshui.weights.catalogue`)."""
    losses = [config.pretrain.perceptual, config.finetune.perceptual]
    losses += [config.compress.perceptual] if config.compress.shares else []
    nets = {PERCEPTUAL[loss.net] for loss in losses if loss.net != "none"}
    return sorted(nets | weights_of(config.score.metrics))
