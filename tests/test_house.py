"""Rules of the house: size, names, what may import what, and that rules, stages and settings agree."""

from __future__ import annotations

import ast
import importlib
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shanshui.__main__ import module_names, stage_names
from shanshui.config.stages import with_settings

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "shanshui"
MODULES = sorted(PACKAGE.rglob("*.py"))
PYTHON_FILES = [*MODULES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "workflow").rglob("*.py"))]
LONGEST = 400
MOST_ANY = 80  # occurrences of the word, imports included
MOST_DICTIONARIES = 10  # of type dict[str, Any] outside of `config`, where YAML and JSON are not yet checked
VAGUE_NAMES = {"utils", "util", "helpers", "misc", "common", "tools"}
LIGHT = (  # what Snakemake and `--help` import: no Jittor, no plots
    "shanshui.__main__",
    "shanshui.pipeline.run_paths",
    "shanshui.config.settings",
    "shanshui.backend.runtime",
    "shanshui.pipeline.diagnosis",
)


def name_of(file: Path) -> str:
    """Dotted name of a module of the package."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path) -> Iterator[str]:
    """Dotted names of everything a module imports, at its top or within functions."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ids(files: list[Path]) -> list[str]:
    return [str(file.relative_to(ROOT)) for file in files]


# --- size and names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", PYTHON_FILES, ids=ids(PYTHON_FILES))
def test_no_file_is_too_long(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_snakefile_is_a_table_of_contents() -> None:
    assert len((ROOT / "Snakefile").read_text(encoding="utf-8").splitlines()) < 60


def test_every_module_is_named_for_what_it_holds() -> None:
    assert [str(file) for file in MODULES if file.stem in VAGUE_NAMES] == []


def test_any_is_the_exception() -> None:
    """Tensors are `Var` and networks `Module` (`typings/jittor`); lower the number when fewer are left."""
    found = {file: len(re.findall(r"\bAny\b", file.read_text(encoding="utf-8"))) for file in MODULES}
    assert sum(found.values()) <= MOST_ANY, sorted(found.items(), key=lambda item: -item[1])[:5]


def test_dictionaries_of_anything_are_the_exception() -> None:
    """Below the configuration, what is read from a file has a type."""
    found = {file: file.read_text(encoding="utf-8").count("dict[str, Any]") for file in MODULES}
    outside = {file: times for file, times in found.items() if times and file.parent.name != "config"}
    assert sum(outside.values()) <= MOST_DICTIONARIES, outside


def test_every_module_says_what_it_is() -> None:
    silent = [file for file in MODULES if not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))]
    assert ids([file for file in silent if file.read_text(encoding="utf-8").strip()]) == []


# --- what is not done here ----------------------------------------------------------------------------


@pytest.mark.parametrize("file", MODULES, ids=ids(MODULES))
def test_nothing_forbidden(file: Path) -> None:
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("exec", "eval"):
            found.append(f"{node.lineno}: {node.func.id}")
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.system", "os.popen"):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"{node.lineno}: bare except")
        elif isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            found.append(f"{node.lineno}: import *")
        elif isinstance(node, ast.keyword) and node.arg == "shell" and ast.unparse(node.value) == "True":
            found.append(f"{node.value.lineno}: shell=True")
    assert found == []


def test_no_paths_of_one_machine() -> None:
    places = re.compile(r"/(?:root|home|work|Users)/\w|/tmp/\w")
    suffixes = {".py", ".smk", ".yaml", ".yml", ".toml", ".md", ".rst", ".sh", ".json", ".txt", ".cff", ""}
    skipped = {
        ".git",
        ".venv",
        ".snakemake",
        "results",
        "data",
        "resources",
        "tests",
        "build",
        ".gpu",
        ".mypy_cache",
        ".ruff_cache",
    }
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in skipped and not name.startswith(".pytest")]
        for file in (Path(folder) / name for name in files):
            if file.suffix in suffixes and places.search(file.read_text(encoding="utf-8")):
                found.append(str(file.relative_to(ROOT)))
    assert found == []


# --- who may import whom ------------------------------------------------------------------------------

LAYERS = (  # each may import its own layer and those before it
    ("errors", "logs", "storage"),
    ("plugins",),
    ("backend", "data", "landscapes", "weights", "metrics"),
    ("nn", "export"),
    ("architectures",),
    ("config",),
    ("training", "synthesis"),
    ("evaluation",),
    ("compression",),
    ("submission", "report"),
    ("pipeline",),
    ("painting",),
    ("stages", "commands"),
    ("__main__",),
)
RANK = {package: rank for rank, layer in enumerate(LAYERS) for package in layer}
TOLERATED = {  # imports of a later layer, each with the reason
    **{
        (f"architectures.{name}", "config.section"): "declarations are sections, whose base lies below both"
        for name in ("apf", "base", "oasis", "spade")
    },
    ("report.page", "pipeline.run_paths"): "the page shows commands with the paths of a run, and one place knows these",
}
NOWHERE = {
    "shanshui": ("torch", "torchvision"),
    "shanshui.landscapes": ("jittor",),
    "shanshui.metrics": ("jittor", "jittor_utils", "PIL"),
}


def own_imports(file: Path) -> set[str]:
    """Modules of the package that a module imports, without the package's name and the top, which holds the version."""
    there = {name_of(other) for other in MODULES}
    found = set()
    for name in imports(file):
        while name.startswith("shanshui.") and name not in there:
            name = name.rpartition(".")[0]
        if name.startswith("shanshui."):
            found.add(name.removeprefix("shanshui."))
    return found


IMPORTS = {name_of(file).removeprefix("shanshui."): own_imports(file) for file in MODULES}


def package_of(module: str) -> str:
    """First part of a module's name."""
    return module.partition(".")[0]


def test_only_what_has_a_layer_lies_at_the_root() -> None:
    found = {package_of(name) for name in IMPORTS} - {"shanshui"}
    assert found == set(RANK)


@pytest.mark.parametrize("name", sorted(IMPORTS.keys() - {"shanshui"}))
def test_imports_point_one_way(name: str) -> None:
    rank = RANK[package_of(name)]
    later = {got for got in IMPORTS[name] if RANK[package_of(got)] > rank}
    assert later == {got for of, got in TOLERATED if of == name}


def test_packages_of_one_layer_do_not_import_each_other_both_ways() -> None:
    arrows = {(package_of(name), package_of(got)) for name, all_got in IMPORTS.items() for got in all_got}
    beside = {arrow for arrow in arrows if arrow[0] != arrow[1] and RANK.get(arrow[0]) == RANK[arrow[1]]}
    assert {arrow for arrow in beside if arrow[::-1] in beside} == set()


def test_nothing_imports_a_stage_or_a_command() -> None:
    called = {"stages", "commands"}
    found = {(name, got) for name, all_got in IMPORTS.items() for got in all_got if package_of(got) in called}
    assert {arrow for arrow in found if arrow[0] != "__main__"} == set()


def test_only_its_command_imports_the_drawing_page() -> None:
    users = {name for name, all_got in IMPORTS.items() if "painting" in {package_of(got) for got in all_got}}
    assert {name for name in users if package_of(name) != "painting"} == {"commands.paint"}


def test_some_libraries_stay_out() -> None:
    found = [
        (name_of(file), got)
        for part, barred in NOWHERE.items()
        for file in MODULES
        if f"{name_of(file)}.".startswith(f"{part}.")
        for got in imports(file)
        if got.partition(".")[0] in barred
    ]
    assert found == []


def at_top(file: Path) -> Iterator[str]:
    """Dotted names of what a module imports when it is imported itself, not within functions or for types alone."""
    waiting: list[ast.stmt] = list(ast.parse(file.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = PACKAGE.parent / str(node.module).replace(".", "/")
            modules = [name.name for name in node.names if (package / f"{name.name}.py").exists()]
            yield from (f"{node.module}.{name}" for name in modules) if modules else (str(node.module),)


def test_sections_import_pydantic_and_records_only() -> None:
    """Snakemake and the documentation read them in milliseconds; networks are imported where they are built."""
    allowed = {"pydantic", *sys.stdlib_module_names}
    records = {"shanshui.metrics.registry", "shanshui.data.layouts", "shanshui.config.stages"}
    known, waiting = set[str](), ["shanshui.config.schema"]
    while waiting:
        name = waiting.pop()
        known.add(name)
        got = set(at_top(PACKAGE.parent / f"{name.replace('.', '/')}.py"))
        assert {module.partition(".")[0] for module in got} <= allowed | {"shanshui"}, name
        waiting += [module for module in got if module.startswith("shanshui.") and module not in known | records]
    assert "shanshui.architectures.spade" in known


def test_reading_the_records_of_metrics_imports_no_heavy_library() -> None:
    script = "import sys, shanshui.metrics.registry\n"
    script += "print(*sorted({'jittor', 'scipy', 'PIL', 'pydantic', 'matplotlib', 'pandas'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )  # fmt: skip
    assert done.stdout.split() == []


class JittorImports(ast.NodeVisitor):
    """Lines where a module imports Jittor (for types only does not count), and where it opens its door."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.opened: list[int] = []

    def visit_If(self, node: ast.If) -> None:
        for part in node.orelse if ast.unparse(node.test) == "TYPE_CHECKING" else ast.iter_child_nodes(node):
            self.visit(part)

    def visit_Import(self, node: ast.Import) -> None:
        self.taken += [node.lineno for alias in node.names if alias.name.split(".")[0].startswith("jittor")]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.taken += [node.lineno] if str(node.module).split(".")[0].startswith("jittor") else []

    def visit_Call(self, node: ast.Call) -> None:
        self.opened += [node.lineno] if ast.unparse(node.func) == "load_jittor" else []
        self.generic_visit(node)


@pytest.mark.parametrize("file", MODULES, ids=ids(MODULES))
def test_jittor_comes_through_its_door(file: Path) -> None:
    """Imported before `load_jittor`, it would compile into the user's own cache, or download."""
    found = JittorImports()
    found.visit(ast.parse(file.read_text(encoding="utf-8")))
    early = [line for line in found.taken if not any(door < line for door in found.opened)]
    assert early == [] or name_of(file) == "shanshui.backend.runtime"


def test_planning_and_help_are_light() -> None:
    script = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    script += "print(*sorted({'jittor', 'matplotlib', 'pandas', 'tensorboardX'} & set(sys.modules)))"
    names = [*LIGHT, *module_names().values()]
    done = subprocess.run(
        [sys.executable, "-c", script, *names], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )  # fmt: skip
    assert done.stdout.split() == []


# --- stages and rules ---------------------------------------------------------------------------------


def names_in(package: str) -> list[str]:
    """What the modules of `stages` or `commands` are called on the command line."""
    return [name for name, module in module_names().items() if module.startswith(f"shanshui.{package}.")]


def test_rules_call_all_stages_and_no_command() -> None:
    called = {name for _, whole in rules().values() for name in re.findall(r"-m shanshui (\w+)", whole)}
    assert set(names_in("stages")) == called
    assert set(names_in("commands")) & called == set()


@pytest.mark.parametrize("name", stage_names())
def test_command_has_docstring_arguments_and_run(name: str) -> None:
    module = importlib.import_module(module_names()[name])
    assert (module.__doc__ or "").strip().splitlines()[0].endswith((".", ":"))
    assert callable(module.add_arguments)
    assert callable(module.run)


def rules() -> dict[str, tuple[str, str]]:
    """Own text of every rule and checkpoint, and its text with that of the rule it is made from, by name."""
    found: dict[str, tuple[str, str]] = {}
    header = re.compile(r"^(?:rule|checkpoint) (?P<name>\w+):|^use rule (?P<base>\w+) as (?P<derived>\w+) with:", re.M)
    for file in sorted((ROOT / "rules").glob("*.smk")):
        text = file.read_text(encoding="utf-8")
        heads = list(header.finditer(text))
        for head, following in itertools.zip_longest(heads, heads[1:]):
            own = text[head.start() : following.start() if following else None]
            base = found[head["base"]][1] if head["base"] else ""
            found[head["name"] or head["derived"]] = own, own + base
    return found


@pytest.mark.parametrize("name", rules())
def test_rule_has_log_environment_and_an_existing_stage(name: str) -> None:
    own, whole = rules()[name]
    assert "log:" in own
    assert "conda:" in whole
    assert '"""' in whole
    called = re.findall(r"-m shanshui (\w+)", whole)
    assert set(called) <= set(names_in("stages"))
    assert called or name == "settings"


@pytest.mark.parametrize("name", rules())
def test_rule_reads_the_settings_of_its_own_stage(name: str) -> None:
    _, whole = rules()[name]
    sections = set(re.findall(r"/settings/(\w+)\.json", whole))
    assert sections <= set(with_settings())
    assert sections <= set(re.findall(r"-m shanshui (\w+)", whole))


def test_every_section_is_read_by_a_rule() -> None:
    read = {section for _, text in rules().values() for section in re.findall(r"/settings/(\w+)\.json", text)}
    assert set(with_settings()) - read == set()
