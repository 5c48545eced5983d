# Reads config.yaml strictly before Snakemake does, so that a wrong encoding or a duplicate key gives a clear message.
import sys

SOURCE = Path(workflow.basedir) / "src"
sys.path.insert(0, str(SOURCE))

from shanshui.config.yaml_file import read_yaml
from shanshui.errors import exit_on_error

with exit_on_error():
    read_yaml(Path(workflow.basedir) / "config.yaml")
