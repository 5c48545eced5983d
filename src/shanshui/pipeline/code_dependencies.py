"""Code dependencies of a stage: the modules it imports, read as syntax trees without importing them.

Comments, formatting, docstrings, help texts and error messages do not count. Any other change of a module changes the
digest of every stage that imports it, at its top or inside a function, directly or not. Modules in `LEFT_OUT` and
imports in `LOOKED_AT` do not count either, each for the reason given with it. A call of `import_modules` with the name
of a package imports all of its modules, one of `load_plugins` the plug-ins of a group. Of other packages, those in
`PACKAGES` count by their versions.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from shanshui.plugins.discovery import plugin_digests
from shanshui.storage.files import digest, sha256

PACKAGE = "shanshui"
HERE = Path(__file__).resolve().parent.parent

_VALUES = "its values count themselves: they are the stage's settings"
_MACHINE = "where a job runs; another machine is no reason to run again either"
_CONVERTERS = "reading of other implementations' weights, by `shanshui import` alone"
LEFT_OUT = {
    "shanshui": "the version number, and functions for notebooks",
    "shanshui.config.schema": _VALUES,
    "shanshui.config.section": _VALUES,
    "shanshui.config.sections": _VALUES,
    "shanshui.config.compress_section": _VALUES,
    "shanshui.config.model_section": _VALUES,
    "shanshui.config.settings": _VALUES,
    "shanshui.config.stages": _VALUES,
    "shanshui.errors": "how mistakes are worded",
    "shanshui.storage.files": "how files get to the disk, not what is in them",
    "shanshui.storage.folders": "how folders get to the disk, not what is in them",
    "shanshui.storage.outputs": "where results may be written",
    "shanshui.logs": "progress and statistics, to be looked at",
    "shanshui.storage.provenance": "who made a file",
    "shanshui.plugins.discovery": "what it finds counts itself",
    "shanshui.backend.runtime": _MACHINE,
    "shanshui.backend.device": _MACHINE,
    "shanshui.backend.gpu_lock": _MACHINE,
    "shanshui.backend.cuda_probe": _MACHINE,
    "shanshui.backend.compilation": _MACHINE,
    "shanshui.backend.toolchain": _MACHINE,
    "shanshui.backend.mpi": _MACHINE,
    "shanshui.backend.parallel": _MACHINE,
    "shanshui.architectures.converter": _CONVERTERS,
    "shanshui.architectures.apf_weights": _CONVERTERS,
    "shanshui.architectures.ccfpse_weights": _CONVERTERS,
    "shanshui.architectures.segformer_weights": _CONVERTERS,
    "shanshui.architectures.spade_weights": _CONVERTERS,
    "shanshui.training.resume": "what a killed job continues from; its result equals an undisturbed one's",
}

LOOKED_AT = {  # imports for images and words that no later stage reads
    # what a metric says of itself changes with its code: its scores are computed again then, and all that reads them
    "shanshui.stages.select": {"shanshui.metrics.registry"},
    "shanshui.report.wording": {"shanshui.metrics.registry"},
    "shanshui.report.students": {"shanshui.metrics.registry"},
    "shanshui.pipeline.run_paths": {"shanshui.metrics.registry"},
    "shanshui.pipeline.disk_estimate": {"shanshui.metrics.registry"},
    "shanshui.pipeline.run_checks.networks": {"shanshui.metrics.registry"},
    "shanshui.training.session": {
        "shanshui.synthesis.synthesizer",
        "shanshui.training.samples",
        "shanshui.training.warning_signs",
    },
    "shanshui.stages.tidy": {"shanshui.pipeline.disk"},
    "shanshui.stages.validate": {"shanshui.data.validation_report"},
    "shanshui.data.statistics": {"shanshui.data.palette"},
}

PACKAGES = {  # other packages that alter results: import name, and the name they are installed under
    "numpy": "numpy",
    "PIL": "pillow",
    "scipy": "scipy",
    "jittor": "jittor",
}
PACKAGE_MARK = "package "  # before a package's name in a list of modules
DOORS = {"shanshui.backend.runtime.load_jittor": "jittor"}  # what stands for an import

ALL = ".*"  # after a package's name: all of its modules

_WORDS = {"help", "metavar", "description"}  # keywords that hold text for people
_SILENT = {"ctx", "kind", "type_comment", "type_ignores"}  # fields that repeat what is known, or mean nothing


@dataclass(frozen=True)
class Module:
    """A module's own digest ("" if it has only a docstring), and what it imports.

    `imports` are modules of this package, `packages` those of `PACKAGES`, `plugins` groups of entry points.
    """

    digest: str
    imports: frozenset[str]
    packages: frozenset[str]
    plugins: frozenset[str] = frozenset()


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _name(expression: ast.expr) -> str:
    return expression.id if isinstance(expression, ast.Name) else getattr(expression, "attr", "")


def _texts(call: ast.Call) -> list[str]:
    """Return the string literals among the arguments of a call."""
    return [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]


class Reader:
    """Serialises the parts of a syntax tree that count, and collects its imports and string literals.

    The result is the same under every Python version that can parse the code.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.written: list[str] = []
        self.imports: list[str] = []
        self.plugins: list[str] = []
        self.texts: set[str] = set()
        self.write(tree)

    def write(self, value: object) -> None:
        """Add a node, a list of nodes or a plain value."""
        if isinstance(value, ast.AST):
            self.node(value)
        elif isinstance(value, list):
            for item in value:
                self.write(item)
            self.written.append("]")
        else:
            self.written.append(repr(value))
            if isinstance(value, str):
                self.texts.add(value)

    def node(self, node: ast.AST) -> None:
        """Add a node with its fields, without empty ones."""
        names = node._fields
        if isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING":
            names = ("orelse",)
        elif isinstance(node, ast.Call) and _name(node.func).endswith("Error"):
            names = ("func",)
        elif isinstance(node, ast.Import):
            self.imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.Call) and _name(node.func) == "import_modules":
            self.imports += [f"{name}{ALL}" for name in _texts(node)]
        elif isinstance(node, ast.Call) and _name(node.func) == "load_plugins":
            self.plugins += _texts(node)
        elif isinstance(node, ast.ImportFrom):
            self.imports += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Assign) and [_name(target) for target in node.targets] == ["STAGE"]:
            return  # a stage's record: its settings' values count themselves, the rest alters no result
        self.written.append(type(node).__name__)
        for name in names:
            field = getattr(node, name, None)
            if name == "keywords":
                field = [keyword for keyword in field or [] if getattr(keyword, "arg", None) not in _WORDS]
            elif name == "body" and isinstance(field, list) and field and _is_docstring(field[0]):
                field = field[1:]
            if field is not None and field != [] and name not in _SILENT:
                self.written.append(name)
                self.write(field)


class Sources:
    """The package's source files and their imports; each file is read once.

    Args:
        folder: the package's folder; by default the one of this module.
    """

    def __init__(self, folder: Path = HERE) -> None:
        self.folder = folder
        self._files: dict[str, Path] = {}
        self._data_files: dict[Path, dict[str, Path]] = {}  # files that are not Python, by folder and name
        for file in sorted(folder.rglob("*")):
            if file.suffix == ".py":
                parts = (PACKAGE, *file.relative_to(folder).with_suffix("").parts)
                self._files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
            elif "__pycache__" not in file.parts and not file.name.startswith(".") and file.is_file():
                self._data_files.setdefault(file.parent, {})[file.name] = file
        self._modules: dict[str, Module] = {}

    def module(self, name: str) -> Module:
        """Return digest and imports of a module; data files in its folder that it names count as part of it."""
        if name not in self._modules:
            file = self._files[name]
            read = Reader(ast.parse(file.read_text(encoding="utf-8")))
            data_files = self._data_files.get(file.parent, {})
            data = [[text, sha256(data_files[text])] for text in sorted(read.texts & data_files.keys())]
            empty = read.written == ["Module"] and not data
            total = digest([read.written, data])
            within, packages = self._within(name, read.imports), _packages(read.imports)
            self._modules[name] = Module("" if empty else total, frozenset(within), packages, frozenset(read.plugins))
        return self._modules[name]

    def _within(self, name: str, imports: list[str]) -> Iterator[str]:
        """Return the imports of `name` that count and are in the package, with their parent packages."""
        apart = LOOKED_AT.get(name, set()) | {name}
        for wanted in imports:
            parts = wanted.split(".")
            packages = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
            yield from (package for package in packages if package in self._files and package not in apart)
            if parts[-1] == ALL[1:]:
                inside = wanted.removesuffix("*")
                yield from (n for n in self._files if n.startswith(inside) and "." not in n.removeprefix(inside))

    def dependencies(self, start: str) -> dict[str, str]:
        """Return the digests of `start` and of all modules that it imports, directly or not, by name.

        Packages are among them, as `package numpy`, with their versions.
        """
        found: dict[str, str] = {}
        packages: set[str] = set()
        groups: set[str] = set()
        waiting = [start]
        while waiting:
            name = waiting.pop()
            if name not in found and name not in LEFT_OUT:
                module = self.module(name)
                found[name] = module.digest
                packages |= module.packages
                groups |= module.plugins
                waiting += module.imports
        versions = {f"{PACKAGE_MARK}{package}": installed(package) for package in sorted(packages)}
        added = {f"plug-in {name}": own for group in sorted(groups) for name, own in plugin_digests(group).items()}
        return {name: found[name] for name in sorted(found) if found[name]} | versions | added

    def stage(self, stage: str) -> dict[str, str]:
        """Return the digests of all modules that the results of `stage` depend on, by name."""
        module = f"{PACKAGE}.stages.{stage}"
        if module in self._files:
            return self.dependencies(module)
        return {f"plug-in {name}": own for name, own in plugin_digests(f"{PACKAGE}.stages").items() if name == stage}

    def names(self) -> list[str]:
        """List all modules of the package."""
        return list(self._files)


def _packages(imports: list[str]) -> frozenset[str]:
    """Return the `PACKAGES` that the dotted names belong to."""
    tops = {DOORS.get(name, name.partition(".")[0]) for name in imports}
    return frozenset(PACKAGES[top] for top in tops & PACKAGES.keys())


@functools.cache
def installed(package: str) -> str:
    """Return the version of an installed package; "none" if it is missing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


@functools.cache
def sources() -> Sources:
    """Return the sources of this package, read once per process."""
    return Sources()


def code_digest(modules: dict[str, str]) -> str:
    """Combine the digests of all modules into one."""
    return digest(modules)
