"""Finding pairs, exclusion lists, the hold-out and manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from shanshui.data.listing import find_images
from shanshui.data.pairs import (
    MANIFEST_COLUMNS,
    Pair,
    holdout_names,
    pair_files,
    parse_exclusion,
    read_exclusion,
    read_manifest,
)
from shanshui.errors import ShanshuiError
from shanshui.storage.files import write_csv


def test_images_of_one_folder_in_natural_order(tmp_path: Path) -> None:
    for name in ("a10.jpg", "a2.JPG", "a1.png", "B3.webp", "notes.txt", ".hidden.jpg", "._a2.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a3.jpg").touch()
    (tmp_path / "folder.png").mkdir()
    assert [p.name for p in find_images(tmp_path)] == ["a1.png", "a2.JPG", "a10.jpg", "B3.webp"]


def test_pairs_by_stem_with_orphans_and_exclusions() -> None:
    photos = [Path(f"imgs/{s}") for s in ("a.jpg", "b.jpg", "c.x.jpg", "lonely.jpg", "gone.jpg", "half.jpg")]
    labels = [Path(f"labels/{s}") for s in ("a.png", "b.png", "c.x.png", "extra.png", "gone.png")]
    pairing = pair_files(photos, labels, ["gone", "half", "nobody"])
    assert [pair.name for pair in pairing.pairs] == ["a", "b", "c.x"]
    assert pairing.pairs[0] == Pair("a", Path("imgs/a.jpg"), Path("labels/a.png"))
    assert pairing.unpaired_photos == [Path("imgs/lonely.jpg")]
    assert pairing.unpaired_labels == [Path("labels/extra.png")]
    assert pairing.excluded == ["gone", "half"]
    assert pairing.not_found == ["nobody"]
    assert pairing.ambiguous == []


def test_a_stem_used_twice_is_ambiguous() -> None:
    pairing = pair_files([Path("a.jpg"), Path("a.png"), Path("b.jpg")], [Path("l/a.png")])
    assert pairing.ambiguous == [Path("a.jpg"), Path("a.png")]


def test_exclusion_list_with_comments_blanks_and_repeats() -> None:
    exclusion = parse_exclusion("# grey ones\n\n one_b \ntwo#b\n   # indented\none_b\nthree  # why\n")
    assert exclusion.names == ["one_b", "two#b", "three"]
    assert exclusion.repeated == ["one_b"]


def test_exclusion_list_is_optional_but_must_exist_when_named(tmp_path: Path) -> None:
    assert read_exclusion(None).names == []
    with pytest.raises(ShanshuiError, match=r"no\.txt cannot be read.*\n.*one file stem per line"):
        read_exclusion(tmp_path / "no.txt")


def test_holdout_hardly_moves_when_a_pair_is_added() -> None:
    names = [f"p{i}" for i in range(200)]
    before = holdout_names(names, 30, 7)
    assert len(before) == 30
    assert before == holdout_names(names[::-1], 30, 7)
    assert len(before ^ holdout_names([*names, "new"], 30, 7)) <= 2
    assert before != holdout_names(names, 30, 8)
    assert holdout_names(names, 0, 7) == set()


def test_manifest_round_trip_and_refusal(tmp_path: Path) -> None:
    pairs = [Pair("a", Path("i/a.jpg"), Path("l/a.png")), Pair("t", None, Path("l/t,1.png"))]
    write_csv(tmp_path / "m.csv", [pair.row() for pair in pairs], MANIFEST_COLUMNS)
    assert (tmp_path / "m.csv").read_text().splitlines()[0] == "name,image,label"
    assert read_manifest(tmp_path / "m.csv") == pairs
    (tmp_path / "bad.csv").write_text("name,label\na,b\n")
    with pytest.raises(ShanshuiError, match=r"bad\.csv holds no rows with the columns name, image, label"):
        read_manifest(tmp_path / "bad.csv")
