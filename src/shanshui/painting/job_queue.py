"""The queue of jobs: clients take turns, and a newer drawing of a client replaces the one that waits."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from shanshui.painting.frames import Answer, Job
from shanshui.painting.refusals import Refusal

Result = tuple[Answer, bytes]


class Overtaken(Exception):
    """The client has sent a newer drawing meanwhile."""


@dataclass(eq=False)
class Waiting:
    """A job in the queue.

    Attributes:
        client: whose it is.
        job: what is asked for.
        body: class ids or a file.
        result: the worker's answer, an `Overtaken` or a `Refusal`.
        number: of the drawing, counted by the client; None for jobs that are not replaced.
    """

    client: str
    job: Job
    body: bytes
    result: asyncio.Future[Result]
    number: int | None = None


@dataclass
class JobQueue:
    """Jobs that wait, by client; the first client in order is next.

    Args:
        most: jobs that may wait, of all clients.
    """

    most: int
    _clients: OrderedDict[str, deque[Waiting]] = field(default_factory=OrderedDict)
    _filled: asyncio.Event = field(default_factory=asyncio.Event)

    def __len__(self) -> int:
        return sum(len(jobs) for jobs in self._clients.values())

    def put(self, client: str, job: Job, body: bytes, number: int | None = None) -> Waiting:
        """Add a job; with a `number` it replaces the client's waiting one of a lower or the same number.

        Raises:
            Overtaken: a newer drawing of the client waits already.
            Refusal: the queue is full.
        """
        added = Waiting(client, job, body, asyncio.get_running_loop().create_future(), number)
        jobs = self._clients.get(client, deque())
        for at, other in enumerate(jobs):
            if number is not None and other.number is not None:
                if other.number > number:
                    raise Overtaken
                jobs[at] = added
                _fail(other, Overtaken())
                return added
        if len(self) >= self.most:
            raise Refusal("busy", f"{len(self)} jobs wait", f"at most {self.most}", "try again in a moment")
        self._clients.setdefault(client, jobs).append(added)
        self._filled.set()
        return added

    async def get(self) -> Waiting:
        """Wait for a job and take it: of the client whose last one is longest ago."""
        while not self._clients:
            self._filled.clear()
            await self._filled.wait()
        client, jobs = self._clients.popitem(last=False)
        first = jobs.popleft()
        if jobs:
            self._clients[client] = jobs
        return first

    def drop(self, waiting: Waiting) -> None:
        """Remove a job, if it still waits, such as one whose client has gone."""
        jobs = self._clients.get(waiting.client)
        if jobs and waiting in jobs:
            jobs.remove(waiting)
            if not jobs:
                del self._clients[waiting.client]
        waiting.result.cancel()

    def place(self, client: str) -> int | None:
        """Return how many turns it takes until the client's first job, from 1; None if none waits."""
        return list(self._clients).index(client) + 1 if client in self._clients else None

    def refuse_all(self, refusal: Refusal) -> None:
        """Refuse all jobs that wait."""
        for jobs in self._clients.values():
            for waiting in jobs:
                _fail(waiting, refusal)
        self._clients.clear()


def _fail(waiting: Waiting, error: Exception) -> None:
    if not waiting.result.done():
        waiting.result.set_exception(error)
