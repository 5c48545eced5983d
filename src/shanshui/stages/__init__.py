"""One module per stage: `add_arguments(parser)` and `run(args)`; they read and write, the rest computes."""
