"""The worker process: one job after another from a pipe, with the generator.

python -m shanshui.painting.worker

Jittor prints to stdout, so the pipe's end is moved away from it first. The process ends when its pipe is closed.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import BinaryIO

from shanshui.errors import ShanshuiError
from shanshui.painting.frames import Answer, BrokenStream, Job, packed, read
from shanshui.painting.jobs import ImageGenerator, Jobs
from shanshui.painting.refusals import Refusal

ROOM = 4 << 30  # bytes of address space that the process may take in addition to what it has after loading


def private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipe's ends, away from stdin and stdout: what anything prints goes to stderr."""
    incoming, outgoing = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    return os.fdopen(incoming, "rb"), os.fdopen(outgoing, "wb")


def address_space() -> int:
    """Return the bytes of address space of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def limit_memory(room: int = ROOM) -> None:
    """Limit the address space to what is used and `room` bytes more; not with a GPU, which reserves far more."""
    if any(name.startswith("/dev/nvidia") for name in _mapped_devices()):
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = address_space() + room
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _mapped_devices() -> set[str]:
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        return {line.split(maxsplit=5)[5].strip() for line in file if "/dev/" in line}


def serve(load: Callable[[str], ImageGenerator], incoming: BinaryIO, outgoing: BinaryIO, room: int = ROOM) -> None:
    """Answer jobs until the pipe is closed.

    Args:
        load: reads a weights file.
        incoming: jobs.
        outgoing: answers.
        room: bytes of address space for everything after loading.
    """
    jobs = Jobs(load)

    def send(answer: Answer, body: bytes = b"") -> None:
        outgoing.write(packed(answer, body))
        outgoing.flush()

    while message := read(incoming, Job):
        job, body = message
        try:
            answer, content = jobs.answer(job, body, lambda n, of: send(Answer(kind="progress", step=n, steps=of)))
        except Refusal as refusal:
            answer, content = _refused(refusal), b""
        except ShanshuiError as error:
            answer, content = _refused(Refusal("worker_failed", error.found, error.expected, error.do)), b""
        except MemoryError:
            answer, content = _refused(Refusal("too_large", "more memory is needed than the worker may take")), b""
        send(answer, content)
        if job.do == "load" and answer.kind == "done":
            limit_memory(room)


def _refused(refusal: Refusal) -> Answer:
    return Answer(
        kind="refused", code=refusal.code, found=refusal.found, wanted=refusal.wanted, advice=refusal.advice,
        report=refusal.more,
    )  # fmt: skip


def main(load: Callable[[str], ImageGenerator], room: int = ROOM) -> None:
    """Serve on stdin and stdout, and end without Jittor's clean-up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the server, which closes the pipe
    incoming, outgoing = private_streams()
    with contextlib.suppress(BrokenStream, BrokenPipeError):  # where the server is gone
        serve(load, incoming, outgoing, room)
    sys.stderr.flush()
    os._exit(0)


def _load(weights: str) -> ImageGenerator:
    import shanshui

    return shanshui.load(weights)


if __name__ == "__main__":
    main(_load)
