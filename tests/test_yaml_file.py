"""YAML that is read as it looks: what is not, is refused with its line, or named where the option refuses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from shanshui.__main__ import main
from shanshui.config.schema import Config
from shanshui.config.sections import expanded
from shanshui.config.settings import load_config
from shanshui.config.yaml_file import parse, words_of
from shanshui.errors import ShanshuiError, UsageError


def refused(text: str, tmp_path: Path) -> str:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_config([file])
    return str(caught.value)


TWICE = {
    "a section": (
        "finetune: {batch: 4}\nseed: 1\nfinetune: {epochs: 2}\n",
        "finetune stands in line 1 and again in line 3",
    ),
    "an option": ("data:\n  flip: true\n  root: a\n  flip: false\n", "data.flip stands in line 2 and again in line 4"),
    "in flow style": ("data: {root: a,\n root: b}\n", "data.root stands in line 1 and again in line 2"),
    "in JSON": ('{"seed": 1,\n\t"seed": 2}', "seed stands twice"),
    "a merge": ("pretrain: &p {batch: 4}\nfinetune:\n  <<: *p\n  <<: *p\n", "finetune.<< stands in line 3 and again"),
    "on and its word": ("select:\n  on: test\n  'on': train\n", "select.on stands in line 2 and again in line 3"),
}


@pytest.mark.parametrize("kind", TWICE)
def test_a_name_that_stands_twice_is_refused(kind: str, tmp_path: Path) -> None:
    text, words = TWICE[kind]
    assert words in refused(text, tmp_path)


OTHERWISE = {
    "seed: 012": "line 1: seed: 012, which YAML takes for an octal number",
    "data:\n  load_width: 1:30": "line 2: data.load_width: 1:30, which YAML takes for minutes",
    "finetune: {lr_g: 1:30.5}": "1:30.5, which YAML takes for minutes",
    "run: 2022-11-28": "run: 2022-11-28, which YAML takes for a date",
    "data: {classes: [sky, 010]}": "data.classes.1: 010",
    "seed: !!binary aGFsbG8=": "bytes in base64",
    "data: {classes: !!set {a, b}}": "data.classes: a value of the kind !!set",
    "data: {classes: !!omap [a: 1]}": "data.classes: a value of the kind !!omap",
    "run: !!python/object/apply:os.getcwd []": "run: a value of the kind !!python/object/apply:os.getcwd",
    "data:\n\troot: x": "indent by spaces, not by tabs",
    "? [a, b]\n: 1": "a name that is no text",
    "- a\n- b": "holds no options",
    "just words": "holds no options",
    "data: {": "is not valid YAML",
    "a: &x [*x]": "is not valid YAML|an alias that contains itself|unhashable|no such option",
}


def test_a_file_that_is_no_text_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(b"run: \0")
    with pytest.raises(ShanshuiError, match="is no text: it holds bytes of zero"):
        load_config([tmp_path / "c.yaml"])


@pytest.mark.parametrize("text", OTHERWISE)
def test_what_yaml_reads_otherwise_is_refused(text: str, tmp_path: Path) -> None:
    said = refused(text, tmp_path)
    assert any(words in said for words in OTHERWISE[text].split("|"))


NAMED = {
    "data: {holdout: yes}": "data.holdout: Input should be a valid integer, unable to parse string as an integer",
    "finetune: {lr_g: off}": "finetune.lr_g: Input should be a valid number",
    "run: no": "(no is written, which YAML takes for false; a name goes in quotes)",
    "data: {classes: [sky, off]}": "data.classes.1: Input should be a valid string, found False (off is written",
    "data: {exclude: NO}": "data.exclude: Input should be a valid string, found False (NO is written",
    "run: 1_000": "(1_000 is written, which YAML takes for 1000",
    "run:": "run: Input should be a valid string, found None (nothing is written, which YAML takes for none",
    "finetune: {feature_matching: .inf}": "finetune.feature_matching: Input should be a finite number",
    "finetune: {lr_g: .nan}": "finetune.lr_g",
    "data:": "data: nothing stands below it; indent its options, or leave the line out",
    "root: x": "root: there is no such option; indent it below `data:`",
    "data.root: x": "data.root: there is no such option; indent it below `data:`",
    "finetune: {lr: 3}": "finetune.lr: there is no such option; did you mean `lr_g`?",
    "3: 4": "3: Keys should be strings, found 3",
    "data: {test_labels: ''}": "data.test_labels: an empty path",
    **{
        f"run: {name!r}": f"the first a letter or digit, found {name!r}" for name in ("..", ".", "-a", ".x", "a/b", " ")
    },
    **{f"gpus: {gpus}": "gpus: auto, 0 for none, or a list of their numbers" for gpus in ("1", "'0'", "[]", "true")},
}


@pytest.mark.parametrize("text", NAMED)
def test_words_that_yaml_takes_for_others_are_named(text: str, tmp_path: Path) -> None:
    assert NAMED[text] in refused(text, tmp_path)


def test_what_is_meant_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "run: '012'\nseed: 1_000\nselect: {on: test}\nfinetune: {lr_g: 1e-4, seg_noise: no}\ndata: {flip: off}\n"
        "parity: {spectral_norm: off}\npretrain: &p {batch: 0x10}\n"
    )
    config = load_config([file])
    assert (config.run, config.seed, config.select.on) == ("012", 1000, "test")
    assert (config.finetune.lr_g, config.finetune.seg_noise, config.data.flip) == (1e-4, False, False)
    assert (config.parity.spectral_norm, config.pretrain.batch) == ("off", 16)
    file.write_text("")
    assert load_config([file]) == Config()


def test_aliases_and_merges_are_read() -> None:
    assert parse("a: &x {b: 1}\nc: *x\nd: {<<: *x, b: 2}", "x")[0] == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 2}}
    many = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
    assert "a59" in parse(many, "x")[0]  # in no time, though written out it would be endless


def test_json_with_tabs_is_read_as_snakemake_does(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{\n\t"seed": 7\n}')
    assert load_config([tmp_path / "c.json"]).seed == 7
    assert words_of([tmp_path / "c.json"]) == {}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_configuration_with_a_mark_is_read(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("# 风景\nseed: 7\n", encoding=encoding)
    assert load_config([tmp_path / "c.yaml"]).seed == 7


def test_a_configuration_in_gbk_is_refused_by_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes("# 风景\nseed: 7\n".encode("gb18030"))
    for command in (["doctor", f"--config={file}"], ["explain", "score", f"--configfile={file}"]):
        assert main(command) != 0
        said = capsys.readouterr().err
        assert "c.yaml is not UTF-8: byte 0xb7 in line 1; it may be GB18030, in which it reads `# 风景`" in said
        assert "iconv -f gb18030" in said


# --- paths --------------------------------------------------------------------------------------------


def test_home_and_variables_stand_for_what_they_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/homes/ann")
    monkeypatch.setenv("DISK", "/mnt/d")
    file = tmp_path / "c.yaml"
    file.write_text(
        "data: {root: ~/flickr, test_labels: $DISK/maps, exclude: '${DISK}/out.txt'}\nsegmenter: {weights: ~/s}\n"
    )
    config = load_config([file])
    assert config.data.train_images == "/homes/ann/flickr/train/imgs"
    assert (config.data.test_labels, config.data.exclude) == ("/mnt/d/maps", "/mnt/d/out.txt")
    assert config.segmenter.weights == "/homes/ann/s"
    assert "data.test_labels: $GONE/x names $GONE, which is not set" in refused(
        "data: {test_labels: $GONE/x}", tmp_path
    )
    assert "begins with ~nobody-here" in refused("data: {root: ~nobody-here/x}", tmp_path)
    (tmp_path / "$GONE").mkdir()
    assert expanded("$GONE") == "$GONE"
    assert expanded("a~b") == "a~b"
