"""Names that lists and arguments give: a picture called after one lies where pictures go, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shanshui.__main__ import main
from shanshui.data.pairs import read_manifest
from shanshui.errors import ShanshuiError, UsageError
from shanshui.synthesis.generation_inputs import label_files, label_sources

ELSEWHERE = ["../precious", "/tmp/precious", "a/b", ".", "..", ""]


def listed(folder: Path, name: str, label: str = "a.png") -> Path:
    file = folder / "list.csv"
    file.write_text(f'name,image,label\n"{name}","",{label}\n')
    return file


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    for read in (label_files, read_manifest):
        with pytest.raises(ShanshuiError, match="after which an image would be called") as caught:
            read(listed(tmp_path, name))
        assert repr(name) in caught.value.found
    with pytest.raises(ShanshuiError, match="after which an image would be called"):
        label_sources([f"{name}=labels", "other=labels"])


def test_unusual_names_are_names(tmp_path: Path) -> None:
    for name in ("..x", "a b ", "%7B{}", "风景", "-x", "a.b"):
        assert [found.name for found in label_files(listed(tmp_path, name))] == [name]
    assert label_sources(["a.b=x", "c=y"]) == {"a.b": Path("x"), "c": Path("y")}
    assert label_sources(["labels"]) == {"": Path("labels")}


def test_a_list_without_label_map_and_a_single_picture_are_named(tmp_path: Path) -> None:
    with pytest.raises(ShanshuiError, match="has no label map for x"):
        label_files(listed(tmp_path, "x", ""))
    picture = tmp_path / "a.png"
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(picture)
    with pytest.raises(ShanshuiError, match="neither a folder nor a CSV file") as caught:
        label_files(picture)
    assert "a folder of its own" in caught.value.do
    with pytest.raises(ShanshuiError, match="does not exist"):
        label_files(tmp_path / "gone")


def test_the_home_of_a_user_who_is_not_there_is_no_folder_to_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["landscapes", "--train", "1", "--test", "1", "--width", "16", "--height", "16"]
    assert main([*arguments, "--out", "~nobody-here/x"]) == UsageError.exit_code
    assert "~nobody-here, whose home folder is not known" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
