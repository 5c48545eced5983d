"""Documents: links lead somewhere, commands are those of the software, examples are valid, messages exist."""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import importlib.util
import inspect
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from documents import DOCUMENTS, ROOT, Block, all_blocks, anchors, links, name_of, prose
from PIL import Image
from recorded_shell import Recorder, lost_files

import shanshui
from shanshui.__main__ import build_parser, stage_names
from shanshui.config.schema import Config
from shanshui.config.settings import merge, validate
from shanshui.pipeline.inputs_there import check_targets
from shanshui.synthesis.synthesizer import Synthesizer

SHELL = all_blocks("sh", "bash", "shell", "console")
YAML = all_blocks("yaml")
COMMENTS = [  # commands at the head of recipes
    Block(file, 1, "sh", "\n".join(commands), "")
    for file in sorted({*ROOT.glob("config.yaml"), *ROOT.glob("config/**/*.yaml")})
    if (commands := re.findall(r"^#  +((?:snakemake|python|make|W=).*)$", file.read_text(encoding="utf-8"), re.M))
]
ELSEWHERE = {"docs/adding.md"}  # its files and commands are those of tests/test_toys.py
TARGETS = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)


def named(blocks: Sequence[Block]) -> list[object]:
    return [pytest.param(block, id=str(block)) for block in blocks]


# --- links --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", DOCUMENTS, ids=map(name_of, DOCUMENTS))
def test_links_lead_to_files_and_headings(file: Path) -> None:
    lost = []
    for target in links(file):
        path, _, heading = target.partition("#")
        there = file if not path else (file.parent / path).resolve()
        if not there.exists() or (heading and heading not in anchors(there)):
            lost.append(target)
    assert lost == []


def test_every_page_is_listed_in_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    listed = {(index.parent / target).resolve() for target in links(index)}
    assert {file for file in DOCUMENTS if file.is_relative_to(index.parent)} - listed == {index}


# --- commands -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    return Recorder(tmp_path_factory.mktemp("recorded"))


def own_recipes(block: Block) -> dict[str, Any]:
    """The file my.yaml of a page: its first whole example of a recipe."""
    found = next((yaml.safe_load(other.text) for other in YAML if other.file == block.file), {})
    return dict(found)


def check_snakemake(arguments: Sequence[str], block: Block) -> None:
    """Parse the arguments as Snakemake does, and validate the configuration that they make."""
    from snakemake.cli import get_argument_parser, parse_config

    args = get_argument_parser().parse_args(arguments)
    config: dict[str, Any] = {}
    for file in args.configfile or []:
        text = "" if str(file) == "my.yaml" else (ROOT / file).read_text(encoding="utf-8")
        config = merge(config, yaml.safe_load(text) if text else own_recipes(block))
    config = merge(config, parse_config(args.config))
    base = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    check_targets(args.targets, validate(merge(base, config), given=config).run)
    for profile in filter(None, (args.workflow_profile, args.profile)):
        assert (ROOT / "profiles" / profile / "config.yaml").exists()


def check_shanshui(arguments: Sequence[str]) -> None:
    assert arguments[0] in stage_names(), f"no command {arguments[0]}"
    build_parser([arguments[0]]).parse_args(list(arguments))


def check_make(arguments: Sequence[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        assert f"$({name})" in makefile or name == "PYTHON" if equals else name in TARGETS, argument


def check_program(arguments: Sequence[str]) -> None:
    """Check a Python file's options by their names in it or in its neighbours."""
    if arguments[0] == "-m":
        assert importlib.util.find_spec(arguments[1])
        return
    file = ROOT / arguments[0]
    text = "".join(part.read_text(encoding="utf-8") for part in file.parent.glob("*.py"))
    assert [option for option in arguments if option.startswith("--") and f'"{option}"' not in text] == []


@pytest.mark.parametrize("block", named([*SHELL, *COMMENTS]))
def test_commands_are_those_of_the_software(block: Block, recorder: Recorder) -> None:
    calls = recorder.expand(block.text)
    assert calls, "no command"
    for program, *arguments in calls:
        assert lost_files(arguments) == []
        if program == "snakemake" and name_of(block.file) not in ELSEWHERE:
            check_snakemake(arguments, block)
        elif program == "make":
            check_make(arguments)
        elif program.startswith("python") and arguments[:2] == ["-m", "shanshui"]:
            check_shanshui(arguments[2:])
        elif program.startswith("python"):
            check_program(arguments)


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """All options of a parser and of the commands below it."""
    found: set[str] = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            found = found.union(*(options_of(below) for below in action.choices.values()))
    return found


@pytest.fixture(scope="module")
def known_options() -> dict[str, set[str]]:
    from snakemake.cli import get_argument_parser

    return {
        **{name: options_of(build_parser([name])) for name in stage_names()},
        "snakemake": options_of(get_argument_parser()),
    }


@pytest.mark.parametrize("file", DOCUMENTS, ids=map(name_of, DOCUMENTS))
def test_commands_in_the_text_have_these_names_and_options(file: Path, known_options: dict[str, set[str]]) -> None:
    wrong = []
    for span in re.findall(r"`([^`\n]+)`", prose(file)):
        words = span.removeprefix(".venv/bin/").removeprefix("python -m ").split()
        if words[:1] == ["make"] and len(words) > 1 and words[1] not in TARGETS:
            wrong.append(span)
        if (
            name_of(file) in ELSEWHERE
            or len(words) < 2
            or words[0] not in ("shanshui", "snakemake")
            or not re.match(r"[a-z-]", words[1])
        ):
            continue
        name = words[0] if words[0] == "snakemake" else words[1]
        options = {word.partition("=")[0] for word in words if word.startswith("--") and len(word) > 2}
        if name not in known_options or options - known_options[name]:
            wrong.append(span)
    assert wrong == []


@pytest.mark.parametrize("block", named(SHELL))
def test_every_block_is_run_or_says_why_not(block: Block) -> None:
    assert block.mark, "write <!-- run --> or <!-- not run: why --> in the line above it"
    other = re.search(r"tests/\w+\.py", block.mark)
    assert other is None or (ROOT / other[0]).exists()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with this Python as .venv, and with a few images where documents have them."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "snakemake"):
        (programs / name).write_text(f'#!/bin/sh\nexec "{Path(sys.executable).parent / name}" "$@"\n')
        (programs / name).chmod(0o755)
    for name in ("src", "config", "config.yaml", "Snakefile", "rules"):
        (tmp_path / name).symlink_to(ROOT / name)
    rng = np.random.default_rng(0)
    for folder in ("PHOTOGRAPHS", "IMAGES"):
        (tmp_path / folder).mkdir()
        for number in range(8):
            Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)).save(tmp_path / folder / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    return tmp_path


RUN = {block.text: block for block in SHELL if block.mark == "run"}


@pytest.mark.parametrize("block", named(list(RUN.values())))
def test_blocks_that_are_run_succeed(block: Block, desk: Path) -> None:
    done = subprocess.run(["bash", "-euc", block.text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_some_blocks_are_run() -> None:
    assert len(RUN) >= 3


# --- examples -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", named([block for block in YAML if name_of(block.file) not in ELSEWHERE]))
def test_examples_of_configurations_are_valid(block: Block) -> None:
    """Merged over config.yaml, as Snakemake does."""
    example = yaml.safe_load(block.text)
    assert set(example) <= set(Config.model_fields), "no configuration"
    base = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    validate(merge(base, example), given=example)


@pytest.mark.parametrize("name", ["docs/contest.md", "docs/zh/contest.md"])
def test_formulas_print_what_the_guide_says(name: str) -> None:
    (block,) = [block for block in all_blocks("python") if name_of(block.file) == name]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(block.text, name, "exec"), {})
    assert said.getvalue().splitlines() == re.findall(r"  # (.+)$", block.text, re.M)


@pytest.mark.parametrize("block", named(all_blocks("python")))
def test_python_is_valid_and_imports_what_there_is(block: Block) -> None:
    if name_of(block.file) in ELSEWHERE:
        return
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("shanshui"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.util.find_spec(f"{node.module}.{alias.name}")


def test_every_name_of_the_python_interface_is_listed_with_its_arguments() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8").partition("## All names")[2]
    cells = "".join(re.findall(r"^\|( `.*?` )\|", page, re.M))
    listed = re.findall(r"`((?:shanshui|synthesizer)\.\w+)(?:\(([^`]*)\))?`", cells)
    synthesizer = {name: getattr(Synthesizer, name) for name in vars(Synthesizer) if not name.startswith("_")}
    for name, arguments in listed:
        module, _, last = name.partition(".")
        there = synthesizer.get(last) if module == "synthesizer" else getattr(shanshui, last, None)
        if callable(there):
            known = [one for one in inspect.signature(there).parameters.values() if one.name != "self"]
            given = [one.name if one.default is one.empty else f"{one.name}={one.default!r}" for one in known]
            assert arguments == ", ".join(given), name
    names = {name for name, _ in listed}
    assert {f"synthesizer.{name}" for name in synthesizer} <= names
    assert {f"shanshui.{name}" for name in ("load", "to_pil", "Size")} <= names


# --- messages -----------------------------------------------------------------------------------------


def constants() -> Iterator[str]:
    """Texts in the code: strings, and the parts of strings between values."""
    for file in (ROOT / "src" / "shanshui").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_messages_of_the_troubleshooting_page_exist() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    known = "\0".join(constants()) + (ROOT / "envs" / "setup.sh").read_text()
    quoted = [text for row in re.findall(r"^\| (`.*?) \| ", page, re.M) for text in re.findall(r"`([^`]+)`", row)]
    assert len(quoted) > 40
    parts = [part.strip() for text in quoted for part in text.split("...") if part.strip()]
    assert [part for part in parts if part not in known] == []
