"""One module per command that only people call: `add_arguments(parser)` and `run(args)`, as for a stage."""
