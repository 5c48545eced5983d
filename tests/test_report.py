"""The report: one self-contained page from a small run; what is missing is said."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shanshui.__main__ import main
from shanshui.config.settings import validate
from shanshui.evaluation.selection import Score, parse_score, rank
from shanshui.report import plotting, tables
from shanshui.report.readers import read_stats
from shanshui.report.sheet import contact_sheet, evenly_spaced, strip
from shanshui.report.time_plot import by_kind, described, time_plot
from shanshui.report.timing import StageTime, duration, stage_times
from shanshui.storage.files import write_csv, write_json

METRIC = "dct_frechet"
SIZE = (64, 32)  # width, height
CLASSES = ["sky", "sea", "<rock>"]
VOID = {"meta", "img", "br", "link"}


def write_pair(folder: Path, name: str, seed: int) -> dict[str, str]:
    rng = np.random.default_rng(seed)
    ids = np.zeros(SIZE[::-1], np.uint8)
    ids[seed % 20 + 5 :] = 1 + seed % 2
    for kind in ("labels", "photos"):
        (folder / kind).mkdir(exist_ok=True)
    Image.fromarray(ids).save(folder / "labels" / f"{name}.png")
    Image.fromarray(rng.integers(0, 256, (*SIZE[::-1], 3), np.uint8)).save(folder / "photos" / f"{name}.jpg")
    return {"name": name, "image": f"{folder}/photos/{name}.jpg", "label": f"{folder}/labels/{name}.png"}


def make_scores() -> list[Score]:
    values = [("epoch_005", 3.0, 0), ("epoch_006", 2.0, 0), ("005+006", 1.5, 0), ("005+006", 1.4, 1)]
    sets = {"n": 3, "metrics": {}}
    scores = []
    for model, value, seed in values:
        both = {name: {**sets, "metrics": {METRIC: value + extra}} for name, extra in (("holdout", 0), ("test", 1))}
        scores.append(parse_score({"model": model, "seed": seed, "sets": both, "features": {METRIC: "blocks"}}, model))
    return scores


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """What the report needs at least."""
    rows = [write_pair(tmp_path, f"hold_{i}", i) for i in range(5)]
    for part in ("holdout", "test"):
        write_csv(tmp_path / f"{part}.csv", rows, ["name", "image", "label"])
        (tmp_path / "images" / part).mkdir(parents=True)
        for row in rows:
            Image.open(row["image"]).save(tmp_path / "images" / part / f"{row['name']}.jpg")
    scores = make_scores()
    choices = [
        rank(scores[:2], METRIC, "holdout", 2),
        rank(scores[:3], METRIC, "holdout", 1),
        rank(scores[2:], METRIC, "holdout", 1),
    ]
    for name, choice in zip(("checkpoints", "model", "seed"), choices, strict=True):
        write_json(tmp_path / f"{name}.json", choice)
    write_csv(tmp_path / "table.csv", tables.build_rows(scores, *choices), tables.columns(scores, METRIC))
    archive = {"name": "submission.zip", "sha256": "ab" * 32, "bytes": 12345}
    write_json(tmp_path / "manifest.json", {"zip": archive, "count": 5, "shanshui": "0.1.0+x", "python": "3.11"})
    config = {
        "data": {"classes": CLASSES, "width": SIZE[0], "height": SIZE[1], "load_width": 80},
        "model": {"generator": {"name": "apf", "halvings": 5}}, "pretrain": {"epochs": 6}, "finetune": {"epochs": 6},
        "score": {"first": 7, "last": 12, "metrics": [METRIC], "rank_by": METRIC},
    }  # fmt: skip
    settings = {"samples": 3, "rank_by": METRIC, "on": "holdout", "run": "tiny",
                "config": validate(config).model_dump(mode="json")}  # fmt: skip
    write_json(tmp_path / "settings.json", settings)
    return tmp_path


def add_everything(folder: Path) -> list[str]:
    """The optional parts, and their arguments."""
    rng = np.random.default_rng(0)
    for epoch, phase in ((1, "pretrain"), (2, "finetune")):
        place = folder / "samples" / phase / f"epoch_{epoch:03d}"
        place.mkdir(parents=True)
        for name in ("hold_0", "hold_1", "hold_3", "gone"):  # the last is of an earlier hold-out
            Image.fromarray(rng.integers(0, 256, (16, 32, 3), np.uint8)).save(place / f"{name}.jpg")
        Image.new("RGB", (9, 9)).save(place.with_suffix(".png"))
        log = folder / phase / "stats.jsonl"
        log.parent.mkdir()
        line = {
            "epoch": epoch,
            "phase": phase,
            "resolution": "032x016",
            "G/adv": 0.5,
            "D/real": 1.0,
            "seconds": 30,
        }
        log.write_text(json.dumps(line) + "\n")
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "finetune.epoch_002.tsv").write_text("s\th:m:s\tmax_rss\n75.5\t0:01:15\t2048\n")
    write_csv(folder / "classes.csv", [{"id": i, "name": n, "train_share": 0.3, "test_share": 0.1} for i, n in
              enumerate(CLASSES)], ["id", "name", "train_share", "test_share"])  # fmt: skip
    grey = {"what": "2 grey photographs", "expected": "colours", "do": "", "files": ["imgs/<a>.jpg"], "more": 1}
    counts = {"title": "Numbers", "explained": "", "columns": ["what", "found"], "rows": [["pairs", "5 & 1"]]}
    levels = [{"title": "Warnings", "findings": [grey]}, {"title": "Notes", "findings": [{**grey, "what": "a note"}]}]
    write_json(folder / "report.json", {"verdict": "usable, 1 warning", "levels": levels, "tables": [counts]})
    entry = {"file": "a.jpg", "name": "a", "class_name": "sky", "share": 0.99, "photo": "p7"}
    write_json(folder / "fused.json", {"enabled": True, "share": 0.98, "fused": [entry], "kept": []})
    found = {"sky": {"pixels": 0.625, "accuracy": 0.9, "iou": None}, "sea": {"pixels": 0.0, "accuracy": 0, "iou": 0}}
    found["sand"] = {"pixels": 0.375, "accuracy": None, "iou": None}  # the segmenter does not know it
    for name, values in (("score", {METRIC: 1.5, "swd": 3}), ("fused_score", {METRIC: 1.25, "swd": 4})):
        write_json(folder / f"{name}.json", {"sets": {"test": {"metrics": values, "per_class": found}}})
    Image.new("RGB", (40, 20)).save(folder / "sheet.png")
    write_json(folder / "doctor.json", {"device": "cpu", "gpus": [], "cores": 2})
    return add_everything_arguments(folder)


def report(folder: Path, *more: str) -> int:
    names = {"settings": "settings.json", "images": "images", "holdout": "holdout.csv", "test": "test.csv",
             "table": "table.csv", "manifest": "manifest.json", "out": "report.html",
             "strip": "strip.png"}  # fmt: skip
    arguments = [part for name, file in names.items() for part in (f"--{name}", str(folder / file))]
    choices = [str(folder / f"{name}.json") for name in ("checkpoints", "model", "seed")]
    return main(["report", "--run-folder", str(folder), *arguments, "--choices", *choices, *more])


class Balance(HTMLParser):
    """Checks that every tag is closed in order, and collects what would be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def check_page(text: str) -> None:
    """Well-formed, and nothing outside of the file is asked for."""
    page = Balance()
    page.feed(text)
    assert page.open == []
    assert all(value.startswith(("data:image/", "#")) for value in page.loaded)
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "<script" not in text


def test_whole_report(run_folder: Path) -> None:
    assert report(run_folder, *add_everything(run_folder)) == 0
    text = (run_folder / "report.html").read_text()
    check_page(text)
    assert "Not shown:" not in text
    for part in (
        "ab" * 32, "run tiny", "average of 5 + 6", "1.400", "DCT-Fréchet (not FID)", "epoch 6 (2.000)",
        "top 2", "1 epoch of pretraining and 1 epoch of fine-tuning took 1 min 00 s", "32x16",
        "Report of the validation: usable, 1 warning", "<code>imgs/&lt;a&gt;.jpg</code>", "... and 1 more",
        '<tr><td class="wrap">pairs</td><td class="wrap">5 &amp; 1</td></tr>',
        '<td>finetune</td><td class="wrap">Fine-tune with augmentation at full size up to', "1 min 16 s",
        'role="img" aria-label="1 min 16 s of work: ', "2.0 GiB", "p7",
        "&lt;rock&gt;",
        "spectral_norm=on", "G/adv", "python -m shanshui generate --weights results/tiny/",
        '<tr><td>sky</td><td class="number">62.5</td><td class="number">90.0</td><td class="number">–</td></tr>',
        '<td class="number">1.500</td><td class="number">1.250</td>',
        '<tr><td>sand</td><td class="number">37.5</td><td class="number">–</td><td class="number">–</td></tr>',
        "left out of mask accuracy and mIoU: 37.5 % on the test label maps.",
    ):  # fmt: skip
        assert part in text, part
    assert text.index("2 grey photographs") < text.index("a note"), "in the order of the report"
    assert "<td>sea</td>" not in text, "of the classes those that occur"
    assert len(re.findall(r'alt="generated image of', text)) == 3
    assert [len(re.findall(f'alt="epoch {epoch}"', text)) for epoch in (1, 2)] == [3, 3]
    first = text
    assert report(run_folder, *add_everything_arguments(run_folder)) == 0
    assert (run_folder / "report.html").read_text() == first


def add_everything_arguments(folder: Path) -> list[str]:
    names = {"classes": "classes.csv", "validation": "report.json", "fused": "fused.json", "sheet": "sheet.png",
             "doctor": "doctor.json", "score": "score.json",
             "fused-score": "fused_score.json"}  # fmt: skip
    return [part for name, file in names.items() for part in (f"--{name}", str(folder / file))]


def test_missing_parts_are_said(run_folder: Path) -> None:
    assert report(run_folder, "--classes", str(run_folder / "nowhere.csv")) == 0
    text = (run_folder / "report.html").read_text()
    check_page(text)
    reasons = re.findall(r"Not shown: ([^<]*)\.</p>", text)
    assert reasons == [
        "no contact sheet was given",
        f"no images of the hold-out (samples/*/epoch_*/*.jpg) under {run_folder}",
        f"no losses (stats.jsonl) under {run_folder}",
        f"{run_folder}/nowhere.csv does not exist",
        "no report of the validation was given",
        f"no benchmark file (*.tsv) under {run_folder}/benchmarks",
        "no log of the fusion was given",
        "no diagnosis of the machine was given",
    ]


def test_strip_holds_label_ours_photograph(run_folder: Path) -> None:
    assert report(run_folder) == 0
    with Image.open(run_folder / "strip.png") as drawn:
        width, height = drawn.size
    assert width > 3 * 256
    assert 3 * 128 < height < 4 * 128


def test_test_label_maps_are_shown_where_nothing_is_held_out(run_folder: Path) -> None:
    (run_folder / "holdout.csv").write_text("name,image,label\n")
    rows = [f"hold_{i},,{run_folder}/labels/hold_{i}.png" for i in range(5)]
    (run_folder / "test.csv").write_text("\n".join(["name,image,label", *rows]) + "\n")
    assert report(run_folder) == 0
    text = (run_folder / "report.html").read_text()
    check_page(text)
    assert "there are no photographs of these" in text
    with Image.open(run_folder / "strip.png") as drawn:
        assert 2 * 128 < drawn.height < 3 * 128


def test_errors_name_the_file(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_folder / "images" / "holdout" / "hold_2.jpg").unlink()
    assert report(run_folder) == 1
    assert "images/holdout has no image of hold_2" in capsys.readouterr().err
    (run_folder / "holdout.csv").write_text("name,image,label\n")
    (run_folder / "test.csv").write_text("name,image,label\n")
    assert report(run_folder) == 1
    assert "test.csv lists nothing to show" in capsys.readouterr().err


def test_evenly_spaced_keeps_both_ends() -> None:
    assert evenly_spaced(range(10), 4) == [0, 3, 6, 9]
    assert evenly_spaced("ab", 4) == ["a", "b"]


def test_sheets_have_the_expected_size_and_pictures() -> None:
    red, blue = (np.full((24, 32, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))
    sheet = contact_sheet([(f"name {i}" * 20, red, blue) for i in range(8)], "8 pictures")
    assert (sheet == (255, 0, 0)).all(-1).sum() == 8 * 160 * 120
    assert (sheet == (0, 0, 255)).all(-1).sum() == 8 * 160 * 120
    drawn = strip([("label map", [red, red]), ("ours", [blue, blue])])
    assert (drawn == (255, 0, 0)).all(-1).sum() == 2 * 256 * 192


def test_later_lines_of_an_epoch_win_and_torn_lines_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "stats.jsonl").write_text('{"epoch": 2, "G/adv": 1}\n{"epoch": 1}\n{"epoch": 2, "G/adv": 3}\n{"epo')
    assert read_stats(tmp_path) == [{"epoch": 1}, {"epoch": 2, "G/adv": 3}]


def test_times_are_added_up_per_rule() -> None:
    def line(seconds: str, memory: str) -> list[dict[str, str]]:
        return [{"s": seconds, "max_rss": memory}]

    files = [("score.epoch_001.tsv", line("2", "10")), ("score/a.tsv", line("3.5", "30")),
             ("validate.tsv", line("-", "NA")), ("extra.tsv", line("1", "1")),
             ("scorer.tsv", line("9", "1"))]  # fmt: skip
    times = stage_times(files, ["validate", "score"])
    assert [(t.name, t.jobs, t.seconds, t.max_rss) for t in times] == [
        ("validate", 1, 0.0, 0.0), ("score", 2, 5.5, 30.0), ("extra", 1, 1.0, 1.0), ("scorer", 1, 9.0, 1.0)
    ]  # fmt: skip
    assert [duration(s) for s in (0.25, 59.4, 185, 7620)] == ["0.2 s", "59 s", "3 min 05 s", "2 h 07 min"]


def test_time_plot_shows_every_stage_by_kind() -> None:
    times = [StageTime("validate", 1, 20.0), StageTime("pretrain", 3, 600.0), StageTime("generate", 9, 200.0),
             StageTime("score", 9, 179.0), StageTime("segmenter", 1, 1.0)]  # fmt: skip
    assert by_kind(times) == {"training": 601.0, "generating": 200.0, "scoring": 179.0, "other": 20.0}
    assert described(times).startswith("16 min 40 s of work: training 60 %, generating 20 %, scoring 18 %, other 2")
    figure = time_plot(times)
    (axes,) = figure.axes
    bars = [(round(bar.get_width()), bar.get_facecolor()[:3]) for bar in axes.patches]
    assert [seconds for seconds, _ in bars] == [20, 600, 200, 179, 1]
    assert bars[1][1] == bars[4][1] != bars[2][1] != bars[3][1]
    assert [label.get_text() for label in axes.get_yticklabels()] == [t.name for t in times]
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first stage is on top"
    svg = plotting.to_svg(figure)
    assert "10 min 00 s, 60 %" in svg
    assert "1.0 s, &lt; 1 %" in svg
    assert plotting.INK not in svg


def test_no_time_at_all_can_be_drawn() -> None:
    times = [StageTime("validate", 1, 0.0)]
    assert described(times) == "0.0 s of work. The longest stages: validate 0.0 s."
    assert "validate" in plotting.to_svg(time_plot(times))


def test_help_of_every_stage_here(capsys: pytest.CaptureFixture[str]) -> None:
    for stage in ("select", "table", "fuse", "package", "report"):
        with pytest.raises(SystemExit) as ended:
            main([stage, "--help"])
        assert ended.value.code == 0
        assert f"python -m shanshui {stage}" in capsys.readouterr().out


def test_any_settings_are_explained(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings: dict[str, Any] = json.loads((run_folder / "settings.json").read_text())
    settings["config"]["data"]["widht"] = 3
    write_json(run_folder / "settings.json", settings)
    assert report(run_folder) == 2
    assert "data.widht: there is no such option; did you mean `width`?" in capsys.readouterr().err
