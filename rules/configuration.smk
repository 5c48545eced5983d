# Finds the package, and reads config.yaml strictly before Snakemake does, so that a wrong encoding or a duplicate key gives a
# clear message.
import os
import sys
from importlib.util import find_spec

RULES = workflow.current_basedir  # this folder: a path, unless the workflow is read from a repository (snakedeploy)
CLONE = Path(RULES).parent if isinstance(RULES, os.PathLike) else None
if CLONE:
    sys.path.insert(0, str(CLONE / "src"))

if find_spec("shanshui") is None:
    sys.exit(
        f"the package shanshui is not installed for {sys.executable}, and no clone of it is here: config/README.md"
    )

from shanshui.config.yaml_file import read_yaml
from shanshui.errors import exit_on_error
from shanshui.pipeline.deployment import package_folder

SOURCE = CLONE / "src" if CLONE else package_folder(Path(".snakemake"))
DEFAULTS = CLONE / "config.yaml" if CLONE else Path("config.yaml")

with exit_on_error():
    if CLONE:
        read_yaml(DEFAULTS)
