"""Import every module of a package, and the plug-ins that are installed with it.

A metric, a dataset or a stage is declared by a record in a file of its own. Importing the file registers it; no list
names the files. A plug-in is an installed distribution with an entry point in the group `shanshui.metrics`,
`shanshui.datasets`, `shanshui.stages` or `shanshui.architectures` that names a module; importing it registers its
declarations in the same way, in every process and so in every job.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from importlib import metadata

from shanshui.errors import ShanshuiError
from shanshui.storage.files import digest, sha256


def import_modules(package: str) -> None:
    """Import every module of `package`, in the order of their names.

    `pipeline.code_dependencies` treats a call of this function with a literal as an import of all these modules.
    """
    for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{found.name}")


@functools.cache
def plugins(group: str) -> tuple[metadata.EntryPoint, ...]:
    """Return the entry points of the installed plug-ins of a `group`, in the order of their names."""
    return tuple(sorted(metadata.entry_points(group=group), key=lambda entry: (entry.name, entry.value)))


@functools.cache
def load_plugins(group: str) -> None:
    """Import the modules of the installed plug-ins of a `group`, once.

    `pipeline.code_dependencies` treats a call of this function with a literal as an import of these modules.

    Raises:
        ShanshuiError: a module cannot be imported.
    """
    for entry in plugins(group):
        try:
            importlib.import_module(entry.module)
        except Exception as error:  # another author's module may raise anything
            raise ShanshuiError(
                f"the plug-in {entry.name} ({entry.module}) cannot be imported: {type(error).__name__}: {error}",
                f"a module for the entry point group {group}",
                "correct it or uninstall it",
            ) from error


def plugin_digests(group: str) -> dict[str, str]:
    """Compute a digest of file and version of each installed plug-in of a `group`, by name."""
    found = {}
    for entry in plugins(group):
        spec = importlib.util.find_spec(entry.module)
        file = spec.origin if spec and spec.has_location and spec.origin else None
        found[entry.name] = digest([entry.dist.version if entry.dist else "", sha256(file) if file else ""])
    return found
