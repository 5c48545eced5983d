"""One module per command that no rule calls: `add_arguments(parser)` and `run(args)`, as for a stage."""
