"""The server's side of the worker process: start, jobs through the pipe, and notice that it died or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import psutil

from shanshui.backend.watchdog import AT_LEAST, end_all, processor_seconds
from shanshui.painting.frames import Answer, BrokenStream, Job, packed, receive

COMMAND = (sys.executable, "-m", "shanshui.painting.worker")
LAST_LINES = 20
PARTING = 2.0  # seconds in which a worker may end by itself
LONGEST_LINE = 1 << 16


class WorkerDied(Exception):
    """The worker ended, or was ended because it made no progress; the message says how."""


class WorkerProcess:
    """One child process.

    Args:
        command: program and arguments.
        variables: of the environment, in addition to ours.
        patience: seconds in which it must use CPU time while it works.
    """

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], patience: float) -> None:
        self._command, self._variables, self._patience = command, variables, patience
        self._process: asyncio.subprocess.Process | None = None
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._forwarding: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Return the process id, None before the start."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the process, in a session of its own: Ctrl-C reaches the server alone."""
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **self._variables},
            start_new_session=True, limit=LONGEST_LINE,
        )  # fmt: skip
        self._forwarding = asyncio.create_task(self._forward())

    async def ask(self, job: Job, body: bytes, progress: Callable[[Answer], None]) -> tuple[Answer, bytes]:
        """Send a job and wait for its answer.

        Raises:
            WorkerDied: there will be none.
        """
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise WorkerDied("the worker was not started")
        try:
            process.stdin.write(packed(job, body))
            await process.stdin.drain()
            while True:
                answer, content = await self._received(process.stdout)
                if answer.kind != "progress":
                    return answer, content
                progress(answer)
        except (BrokenStream, asyncio.IncompleteReadError, ConnectionError) as error:
            raise WorkerDied(await self._death(str(error))) from None

    async def stop(self) -> None:
        """Close the pipe, and kill the process and its children if it does not end."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), PARTING)
        self._kill()
        await process.wait()
        if self._forwarding:
            self._forwarding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._forwarding

    async def _received(self, stream: asyncio.StreamReader) -> tuple[Answer, bytes]:
        """Read an answer; end a process that uses no CPU time meanwhile."""
        reading = asyncio.create_task(receive(stream, Answer))
        worked = 0.0
        try:
            while not (await asyncio.wait({reading}, timeout=self._patience))[0]:
                before, worked = worked, self._worked()
                if abs(worked - before) < AT_LEAST * self._patience:
                    self._kill()
                    raise WorkerDied(f"the worker made no progress for {self._patience:g} seconds and was ended")
            return reading.result()
        finally:
            reading.cancel()

    def _worked(self) -> float:
        try:
            return processor_seconds(psutil.Process(self.pid))
        except psutil.NoSuchProcess:
            return 0.0

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                end_all(psutil.Process(self._process.pid))

    async def _death(self, error: str) -> str:
        """Describe how the process ended: its signal or exit code, and the last line it printed."""
        process = self._process
        if process is None:
            return error
        try:
            code = await asyncio.wait_for(process.wait(), PARTING)
        except TimeoutError:
            self._kill()
            return f"the worker sent what is no answer: {error}"
        if self._forwarding:
            await asyncio.wait({self._forwarding}, timeout=PARTING)
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        last = next((line for line in reversed(self._last) if line.strip()), "")
        return f"the worker {how}" + (f"; its last message: {last[:300]}" if last else "")

    async def _forward(self) -> None:
        """Copy what the worker prints to stderr, and keep the last lines."""
        stream = self._process.stderr if self._process else None
        while stream is not None and (part := await stream.read(LONGEST_LINE)):
            text = part.decode("utf-8", "replace")
            sys.stderr.write(text)
            sys.stderr.flush()
            self._last.extend(text.splitlines())
