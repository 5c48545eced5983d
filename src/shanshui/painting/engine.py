"""The worker under supervision: loads weights, takes jobs from the queue, is restarted once, and says its state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from shanshui.painting.frames import Job, Model
from shanshui.painting.job_queue import JobQueue, Waiting
from shanshui.painting.limits import Limits
from shanshui.painting.refusals import Refusal
from shanshui.painting.worker_process import COMMAND, WorkerDied, WorkerProcess

StateName = Literal["starting", "compiling", "ready", "painting", "restarting", "failed"]
RESTARTS = 1


@dataclass(frozen=True)
class Offer:
    """What is offered: weights files, the size (width, height) or (0, 0) for that of the weights, and label maps."""

    weights: Sequence[str]
    width: int = 0
    height: int = 0
    labels: str = ""


@dataclass
class State:
    """The state of the worker.

    Attributes:
        name: one of `StateName`.
        step: of loading, with "compiling".
        steps: their number.
        since: time at which it began, monotonic.
        reason: why it was restarted or failed.
    """

    name: StateName = "starting"
    step: int = 0
    steps: int = 0
    since: float = field(default_factory=time.monotonic)
    reason: Refusal | None = None


class Engine:
    """Runs jobs one after another on one worker.

    `loaded` is called whenever weights have been loaded.

    Args:
        offer: weights and label maps.
        limits: of the queue, and of the worker's patience.
        command: that starts a worker.
        variables: of its environment.
    """

    def __init__(
        self, offer: Offer, limits: Limits, command: Sequence[str] = COMMAND,
        variables: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._offer, self._limits, self._command, self._variables = offer, limits, command, variables or {}
        self.queue = JobQueue(limits.waiting)
        self.state, self.number, self.last_seconds = State(), 0, 0.0
        self.model: Model | None = None
        self._changed: set[asyncio.Event] = set()
        self._worker: WorkerProcess | None = None
        self._deaths, self._death = 0, ""
        self._task: asyncio.Task[None] | None = None
        self.loaded: Callable[[], object] = lambda: None
        self._wanted = asyncio.Event()  # weights are to be loaded, by a person's choice

    # --- for the server -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the worker in the background."""
        self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """End the worker."""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._worker:
            await self._worker.stop()

    @property
    def pid(self) -> int | None:
        """Return the worker's process id."""
        return self._worker.pid if self._worker else None

    def submit(self, client: str, job: Job, body: bytes, number: int | None = None) -> Waiting:
        """Add a job to the queue.

        Raises:
            Refusal: the worker has failed, or the queue is full.
            Overtaken: a newer drawing of the client waits.
        """
        if self.state.name == "failed" and self.state.reason:
            raise self.state.reason
        waiting = self.queue.put(client, job, body, number)
        self._tell()
        return waiting

    def choose(self, number: int) -> None:
        """Load other weights, or the same again after a failure; jobs that wait are refused.

        Raises:
            Refusal: there are no weights of this number.
        """
        if not 0 <= number < len(self._offer.weights):
            raise Refusal("not_found", f"weights {number}", f"0 to {len(self._offer.weights) - 1}")
        self.number, self._deaths, self.model, self._death = number, 0, None, ""
        self.queue.refuse_all(Refusal("not_ready", "other weights are being loaded", "", "send the drawing again"))
        self._set("starting")
        self._wanted.set()

    def listen(self) -> asyncio.Event:
        """Return an event that is set whenever the state has changed; give it back with `leave`."""
        event = asyncio.Event()
        self._changed.add(event)
        return event

    def leave(self, event: asyncio.Event) -> None:
        """Stop setting an event."""
        self._changed.discard(event)

    @property
    def listeners(self) -> int:
        """Return the number of events that are set."""
        return len(self._changed)

    def report(self, client: str) -> dict[str, object]:
        """Describe the state as JSON, for one client: `waiting` if its drawing waits for those of others."""
        state, place = self.state, self.queue.place(client)
        waits = place is not None and state.name in ("ready", "painting")
        reason = state.reason
        return {
            "state": "waiting" if waits else state.name, "step": state.step, "steps": state.steps,
            "seconds": round(time.monotonic() - state.since, 3), "expected": round(self.last_seconds, 3),
            "queue": len(self.queue), "place": place, "weights": self.number, "restarts": self._deaths,
            "restarted_because": self._death,
            "error": reason.content if reason else None,
        }  # fmt: skip

    # --- in the background --------------------------------------------------------------------------------

    def _set(self, name: StateName, step: int = 0, steps: int = 0, reason: Refusal | None = None) -> None:
        self.state = State(name, step, steps, reason=reason)
        self._tell()

    def _tell(self) -> None:
        for event in self._changed:
            event.set()

    async def _run(self) -> None:
        while True:
            self._wanted.clear()
            try:
                await self._load()
                await self._work()
            except WorkerDied as died:
                await self._buried(died)
            except Refusal as refusal:  # of the weights
                self._fail(refusal)
            except OSError as error:  # of the program that could not be started
                self._fail(Refusal("worker_failed", f"the worker cannot be started: {error}"))
            if self.state.name == "failed":
                await self._wanted.wait()

    async def _load(self) -> None:
        """Start a worker, if there is none, and load the chosen weights.

        Raises:
            WorkerDied: it ended.
            Refusal: the weights cannot be loaded.
        """
        if self._worker is None:
            self._worker = WorkerProcess(self._command, self._variables, self._limits.patience)
            await self._worker.start()
        offer, number = self._offer, self.number
        job = Job(do="load", weights=offer.weights[number], labels=offer.labels, width=offer.width, height=offer.height)
        answer, _ = await self._worker.ask(job, b"", lambda step: self._set("compiling", step.step, step.steps))
        if answer.kind == "refused" or answer.model is None:
            raise Refusal("worker_failed", answer.found, answer.wanted, answer.advice)
        self.model = answer.model
        self.last_seconds = answer.model.warmup_seconds
        self.loaded()
        self._set("ready")

    async def _work(self) -> None:
        """Do jobs until other weights are wanted.

        Raises:
            WorkerDied: it ended during a job.
        """
        while not self._wanted.is_set():
            waiting = await self._next()
            if waiting is None or waiting.result.done():
                continue
            self._set("painting")
            await self._do(waiting)
            if not self._wanted.is_set():
                self._set("ready")

    async def _next(self) -> Waiting | None:
        """Wait for a job; None if other weights are wanted first."""
        getting, wanted = asyncio.create_task(self.queue.get()), asyncio.create_task(self._wanted.wait())
        try:
            await asyncio.wait({getting, wanted}, return_when=asyncio.FIRST_COMPLETED)
            return getting.result() if getting.done() else None
        finally:
            getting.cancel()
            wanted.cancel()

    async def _do(self, waiting: Waiting) -> None:
        assert self._worker is not None
        try:
            answer, body = await self._worker.ask(waiting.job, waiting.body, lambda step: None)
        except WorkerDied as died:
            if not waiting.result.done():
                waiting.result.set_exception(_failed(died))
            raise
        if waiting.job.do == "generate" and answer.kind == "done":
            self.last_seconds = answer.seconds
        if waiting.result.done():
            return
        if answer.kind == "refused":
            refusal = Refusal(answer.code, answer.found, answer.wanted, answer.advice, **answer.report)
            waiting.result.set_exception(refusal)
        else:
            waiting.result.set_result((answer, body))

    async def _buried(self, died: WorkerDied) -> None:
        """Remove a dead worker; the first one is replaced, the second is a failure."""
        if self._worker:
            await self._worker.stop()
            self._worker = None
        self._deaths, self._death = self._deaths + 1, str(died)
        reason = _failed(died)
        if self._deaths > RESTARTS:
            self._fail(reason)
        else:
            self._set("restarting", reason=reason)

    def _fail(self, reason: Refusal) -> None:
        self._set("failed", reason=reason)
        self.queue.refuse_all(reason)


def _failed(died: WorkerDied) -> Refusal:
    return Refusal("worker_failed", str(died), "", "what it printed is on the terminal of the server")
