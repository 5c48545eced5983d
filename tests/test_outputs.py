"""What commands write: nothing of others is overwritten, and what cannot be written is known before the work."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from drawn_folders import draw, names, score
from PIL import Image

from shanshui.__main__ import build_parser, main, stage_names
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage import checkpoint, folders, outputs
from shanshui.storage.files import atomic, read_json, write_json, write_text

# --- folders --------------------------------------------------------------------------------------------


def test_a_folder_written_here_is_replaced_and_no_other(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw("keep") == 0
    first = names(here / "keep")
    assert draw("keep", "--seed", "3") == 0
    assert names(here / "keep") == first
    (here / "keep" / "notes.txt").write_text("mine")
    before = {name: (here / "keep" / name).read_bytes() for name in names(here / "keep")}
    assert draw("keep") == 1
    said = capsys.readouterr().err
    assert "keep holds what this software did not put there: notes.txt" in said
    assert "--force" in said
    assert {name: (here / "keep" / name).read_bytes() for name in names(here / "keep")} == before
    assert draw("keep", "--force") == 0
    assert names(here / "keep") == first


@pytest.mark.parametrize("what", ["edited", "link", "empty folder", "another's list", "hidden"])
def test_what_counts_as_somebody_elses(what: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw("out") == 0
    label = here / "out" / "test" / "labels" / "test_00000.png"
    if what == "edited":
        Image.new("L", (16, 16)).save(label)
    elif what == "link":
        (here / "out" / "link").symlink_to(here)
    elif what == "empty folder":
        (here / "out" / "later").mkdir()
    elif what == "hidden":
        (here / "out" / ".git").mkdir()
        (here / "out" / ".git" / "HEAD").write_text("ref")
    else:
        (here / "out" / folders.LIST).write_text("[1]")
    assert draw("out") == 1
    assert "did not put there" in capsys.readouterr().err
    assert label.exists()


def test_the_working_folder_home_and_those_above_stay(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "thesis.txt").write_text("mine")
    (here.parent / "home" / "letters.txt").write_text("mine")
    for out in (".", str(here), "..", "/", str(here.parent / "home")):
        for more in ([], ["--force"]):
            assert draw(out, *more) == 2
            assert "name another folder" in capsys.readouterr().err
    assert (here / "thesis.txt").read_text() == "mine"
    assert (here.parent / "home" / "letters.txt").read_text() == "mine"


def test_an_empty_working_folder_can_be_filled(here: Path) -> None:
    assert draw(".") == 0
    assert draw(".") == 0
    assert os.getcwd() == str(here)
    assert "test/labels/test_00000.png" in names(here)
    assert not [path for path in here.iterdir() if path.name != folders.LIST and path.name.startswith(".")]


def test_links_stay_and_lead_to_what_is_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = here.parent / "disk"
    disk.mkdir()
    (here / "out").symlink_to(disk)
    assert draw("out") == 0
    assert (here / "out").is_symlink()
    assert "landscapes.json" in names(disk)
    (disk / "notes.txt").write_text("mine")
    assert draw("out") == 1
    assert (disk / "notes.txt").exists()
    (here / "nowhere").symlink_to(here.parent / "unmounted" / "folder")
    assert draw("nowhere") == 1
    assert "unmounted" in capsys.readouterr().err
    assert not (here.parent / "unmounted").exists()
    (here / "loop").symlink_to(here / "loop")
    assert draw("loop") == 1
    assert "round in a circle" in capsys.readouterr().err


def test_a_file_where_a_folder_is_wanted_and_the_other_way_round(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "file").write_text("mine")
    assert draw("file") == 2
    assert "file is a file" in capsys.readouterr().err
    assert draw("file/below") == 1
    assert "a part of this path is a file" in capsys.readouterr().err
    assert (here / "file").read_text() == "mine"
    (here / "folder").mkdir()
    assert score(here, "folder") == 2
    assert "folder is a folder" in capsys.readouterr().err


def test_nothing_is_removed_before_the_new_is_complete(here: Path) -> None:
    assert draw("out") == 0
    before = names(here / "out")

    def fail() -> None:
        with folders.replaced("out") as staged:
            (staged / "half.png").touch()
            assert names(here / "out") == before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(here / "out") == before
    assert [path.name for path in here.iterdir()] == ["out"]


def test_what_is_put_there_meanwhile_stays(here: Path) -> None:
    assert draw("out") == 0

    def write() -> None:
        with folders.replaced("out") as staged:
            (staged / "a.png").touch()
            (here / "out" / "late.txt").write_text("mine")

    with pytest.raises(ShanshuiError, match=r"late\.txt"):
        write()
    assert "late.txt" in names(here / "out")


def test_what_is_put_into_the_working_folder_meanwhile_stays(here: Path) -> None:
    """It cannot be renamed, so that its contents are replaced one by one."""
    assert draw(".") == 0
    before = names(here)

    def write(force: bool) -> None:
        with folders.replaced(".", force) as staged:
            (staged / "a.png").touch()
            (here / "late.txt").write_text("mine")

    for force in (False, True):
        with pytest.raises(UsageError, match=r"late\.txt"):
            write(force)
        assert names(here) == {*before, "late.txt"}
        (here / "late.txt").unlink()
    assert draw(".") == 0
    assert names(here) == before


ALIKE: dict[str, tuple[str, object]] = {
    "sets": ("out.json", {"sets": ["mine"], "by": "somebody"}),
    "rankings": ("out.json", {"rank_by": "age", "chosen": ["me"]}),
    "numbers": ("out.json", {"12": []}),
    "rows by number": ("out.json", {"12": [{"name": "x", "phone": 1}]}),
    "a list by number": ("out.json", {"12": [1]}),
    "arrays": ("out.npz", {"header": np.zeros(3), "data": np.ones(3)}),
    "arrays and a text": ("out.npz", {"header": np.array('{"author": "me"}')}),
}


@pytest.mark.parametrize("kind", ALIKE)
def test_what_only_looks_like_ours_is_not(kind: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, content = ALIKE[kind]
    if isinstance(content, dict) and name.endswith(".npz"):
        np.savez(here / name, **content)
    else:
        write_json(here / name, content)
    before = (here / name).read_bytes()
    more = ["--features-out", name] if name.endswith(".npz") else []
    assert score(here, name if not more else "other.json", *more) == 1
    assert "is not recognised as an output of this command" in capsys.readouterr().err
    assert (here / name).read_bytes() == before
    assert score(here, name if not more else "other.json", *more, "--force") == 0
    assert score(here, name if not more else "other.json", *more) == 0


def test_folders_have_the_mode_of_new_ones(here: Path) -> None:
    (here / "plain").mkdir()
    with folders.replaced("out"):
        pass
    assert (here / "out").stat().st_mode == (here / "plain").stat().st_mode


# --- files ----------------------------------------------------------------------------------------------


def test_a_file_of_others_is_not_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("thesis.txt", "mine"), ("list.json", '{"mine": 1}'), ("half.json", "{")):
        (here / name).write_text(text)
        assert score(here, name) == 1
        assert "--force" in capsys.readouterr().err
        assert (here / name).read_text() == text
    assert score(here, "score.json") == 0
    assert score(here, "score.json") == 0
    assert score(here, "thesis.txt", "--force") == 0
    assert read_json(here / "thesis.txt")["sets"]


def test_an_output_is_no_input(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = {"G.w": np.zeros(2, np.float32)}
    for name in ("a", "b"):
        checkpoint.save(here / f"{name}.safetensors", arrays, kind="generator")
    (here / "same.safetensors").symlink_to(here / "b.safetensors")
    before = (here / "b.safetensors").read_bytes()
    for out in ("b.safetensors", "../desk/b.safetensors", "same.safetensors"):
        assert main(["merge", "a.safetensors", "b.safetensors", "--out", out, "--force"]) == 2
        assert "is what this command reads" in capsys.readouterr().err
    assert (here / "b.safetensors").read_bytes() == before


def test_trained_weights_are_not_overwritten_by_an_average(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (("a", 0), ("b", 1), ("trained", 5)):
        checkpoint.save(here / f"{name}.safetensors", {"G.w": np.full(2, value, np.float32)}, kind="generator")
    call = ["merge", "a.safetensors", "b.safetensors", "--out"]
    assert main([*call, "trained.safetensors"]) == 1
    assert "trained.safetensors is there already" in capsys.readouterr().err
    assert main([*call, "mean.safetensors"]) == main([*call, "mean.safetensors"]) == 0
    assert main([*call, "trained.safetensors", "--force"]) == 0


def test_files_are_written_through_links_and_never_over_folders(here: Path) -> None:
    (here / "real.txt").write_text("old")
    (here / "link.txt").symlink_to("real.txt")
    write_text("link.txt", "new")
    assert (here / "link.txt").is_symlink()
    assert (here / "real.txt").read_text() == "new"
    (here / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_text("folder", "new")
    assert (here / "folder").is_dir()


def test_temporary_names_differ_and_are_no_longer_than_names_may_be(tmp_path: Path) -> None:
    target = tmp_path / f"{'水' * 80}.json"
    with atomic(target) as one, atomic(target) as other:
        assert one != other
        assert one.suffix == ".json"
        for path in (one, other):
            path.write_text("{}")
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_endings_that_cannot_be_written_are_refused_before(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(here, "s.json", "--features-out", "features.dat") == 2
    assert "a name that ends in .npz" in capsys.readouterr().err
    assert not (here / "s.json").exists()


def test_shared_folders_keep_what_others_put_there(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    outputs.add_shared_folder(parser, "--out", "page.md", "strip.png")
    args = parser.parse_args(["--out", str(tmp_path)])
    for name in ("notes.txt", "page.md", "strip.png"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(ShanshuiError, match=r"page\.md is there already"):
        outputs.check(args)
    for name in ("page.md", "strip.png"):
        (tmp_path / name).unlink()
    outputs.check(args)
    (tmp_path / "strip.png").write_text("ours")
    folders.record(tmp_path, ["strip.png"])
    outputs.check(args)
    (tmp_path / "strip.png").write_text("edited")
    with pytest.raises(ShanshuiError, match=r"strip\.png"):
        outputs.check(args)
    outputs.check(parser.parse_args(["--out", str(tmp_path), "--force"]))


def test_weights_of_others_stay_when_some_are_fetched(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = here / "resources" / "weights" / "vgg19.pkl"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"mine")
    (here / "new.pkl").write_bytes(b"other")
    assert main(["weights", "vgg19", "--from", "new.pkl"]) == 1
    assert "is there already" in capsys.readouterr().err
    assert place.read_bytes() == b"mine"


WRITING = {  # names of arguments that are written, by whatever command has them
    "out", "zip", "manifest", "sheet", "csv", "md", "curve", "strip", "statistics", "pure", "features_out", "weights",
    "state", "average", "photos", "label_maps", "instances", "names", "digests", "log", "report", "examples", "encoder",
}  # fmt: skip
LEARN = {"pretrain", "finetune", "segmenter", "compress"}
READ = {  # where arguments of these names are read, or are no files
    "weights": {"generate", "styles", "merge", "import", "paint", "card", "export", "compress_report"},
    "encoder": {"import"},
    "pure": {"fuse", "landscapes"}, "photos": LEARN,
    "label_maps": LEARN, "digests": LEARN, "instances": {"pretrain", "finetune", "compress", "generate", "styles"},
    "names": {"weights"}, "manifest": {"report"}, "sheet": {"report"},
}  # fmt: skip


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from parsers(inner)


@pytest.mark.parametrize("stage", stage_names())
def test_every_argument_that_is_written_is_declared(stage: str) -> None:
    for parser in parsers(build_parser([stage])):
        dests = {action.dest for action in parser._actions}
        expected = {dest for dest in dests & WRITING if stage not in READ.get(dest, set())}
        assert set(parser.get_default("outputs") or {}) == expected
        assert not expected or "force" in dests


def test_mistaken_kinds_are_named(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {})
    with pytest.raises(UsageError, match="is a file"), folders.replaced(tmp_path / "a.json"):
        pass


def test_a_command_may_be_repeated_and_pictures_of_others_stay(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture does not show who wrote it: the list beside it does."""
    (here / "settings.json").write_text('{"rank_by": "swd", "on": "test"}')
    entry = {"model": "epoch_003", "seed": 0, "value": 1.0, "test": 1.0}
    write_json(here / "c.json", {"rank_by": "swd", "on": "test", "chosen": ["epoch_003"], "chosen_seeds": [0],
                                 "ranking": [entry], "lower_is_better": True})  # fmt: skip
    write_json(here / "s.json", {"model": "epoch_003", "seed": 0, "sets": {"test": {"n": 2, "metrics": {"swd": 1.0}}}})
    call = ["table", "--scores", "s.json", "--settings", "settings.json", "--csv", "t.csv", "--md", "t.md"]
    call += [f"--{name}=c.json" for name in ("checkpoints", "model", "seed")]
    assert main([*call, "--curve", "curve.png"]) == main([*call, "--curve", "curve.png"]) == 0
    Image.new("RGB", (4, 4)).save(here / "photo.png")
    assert main([*call, "--curve", "photo.png"]) == 1
    assert "photo.png is there already" in capsys.readouterr().err
    Image.new("RGB", (4, 4)).save(here / "curve.png")
    assert main([*call, "--curve", "curve.png"]) == 1
