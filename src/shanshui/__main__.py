"""The command `python -m shanshui <stage>`: find the stage's module, parse its arguments, run it."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys

from shanshui import __version__, commands
from shanshui.backend import mpi
from shanshui.config.stages import stage_modules
from shanshui.errors import EXIT_INTERRUPTED, ShanshuiError, readable_error
from shanshui.storage import outputs
from shanshui.storage.names import at_home

NAMES = {"import_weights": "import"}  # `import` is a keyword: no statement could import a module of that name


def module_names() -> dict[str, str]:
    """Return the dotted module names by the names of stages (called by rules) and commands (called by people)."""
    called = {
        NAMES.get(found.name, found.name): f"{commands.__name__}.{found.name}"
        for found in pkgutil.iter_modules(commands.__path__)
    }
    return stage_modules() | called


def stage_names() -> list[str]:
    """List the names of all stages and commands, from the files of the packages `stages` and `commands`."""
    return sorted(module_names())


def build_parser(names: list[str]) -> argparse.ArgumentParser:
    """Create a parser that knows the arguments of the stages in `names`."""
    parser = argparse.ArgumentParser(
        prog="python -m shanshui",
        description="Label maps in, landscape photographs out: one command per stage of the pipeline.",
        epilog="`python -m shanshui <stage> --help` explains a stage.",
    )
    parser.add_argument("--version", action="version", version=f"shanshui {__version__}")
    subparsers = parser.add_subparsers(dest="stage", required=True, metavar="stage")
    for name in names:
        module = importlib.import_module(module_names()[name])
        description = (module.__doc__ or "").strip()
        sub = subparsers.add_parser(
            name,
            help=description.splitlines()[0] if description else "",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one stage; return the exit code (0 done, 1 failed, 2 wrong usage, 130 interrupted)."""
    argv = sys.argv[1:] if argv is None else argv
    names = stage_names()
    wanted = [argv[0]] if argv and argv[0] in names else names
    try:
        parser = build_parser(wanted)
    except ShanshuiError as error:  # of a plug-in
        print(f"shanshui: {error}", file=sys.stderr)
        return error.exit_code
    args = parser.parse_args(argv, argparse.Namespace(arguments=argv))
    try:
        for option, value in vars(args).items():
            if option != "arguments":
                setattr(args, option, at_home(value))
        outputs.check(args)
        args.run(args)
        outputs.remember(args)
    except ShanshuiError as error:
        print(f"shanshui {args.stage}: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        words = readable_error(error)
        if words is None:
            raise
        print(f"shanshui {args.stage}: {words}", file=sys.stderr)
        return ShanshuiError.exit_code
    except KeyboardInterrupt:
        print(f"shanshui {args.stage}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def leave(code: int) -> None:
    """End the process without Jittor's own clean-up, which can wait forever for its compiler threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    if "jittor" in sys.modules:
        if code == 0:
            mpi.finish()
        os._exit(code)
    sys.exit(code)


def start() -> None:
    """Run the command `shanshui`, and end the process with its exit code."""
    leave(main())


if __name__ == "__main__":
    start()
