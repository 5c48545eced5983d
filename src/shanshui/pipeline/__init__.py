"""What Snakemake asks for in Python: paths and targets, code dependencies, disk, retention, state of runs."""
