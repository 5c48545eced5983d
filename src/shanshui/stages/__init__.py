"""One module per stage that rules call: `add_arguments(parser)` and `run(args)`; stages read and write."""
