"""Python code used by the rules: paths and targets, code dependencies, disk, retention, state of runs."""
