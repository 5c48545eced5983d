"""What all routes share: the worker's supervisor, what the server keeps in memory, and waiting for a job."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from shanshui.painting.engine import Engine
from shanshui.painting.frames import Answer, Job, Model
from shanshui.painting.guard import Access
from shanshui.painting.limits import Limits, read_body
from shanshui.painting.pages import PageFile
from shanshui.painting.queries import IDS
from shanshui.painting.refusals import Refusal

EXAMPLES_KEPT = 64
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Options:
    """Options of the page.

    Attributes:
        seed: that it starts with.
        live: whether it sends drawings while they are drawn; None: if images are fast enough.
        weights: names of the weights on offer.
    """

    seed: int = 0
    live: bool | None = None
    weights: tuple[str, ...] = ()


@dataclass(frozen=True)
class Style:
    """The style vector of a photograph, and the name of that photograph's file in an archive."""

    vector: list[float]
    photograph: str


@dataclass
class Memory:
    """What the server keeps, all of it in memory: the last images, styles and examples; oldest first."""

    images: OrderedDict[str, tuple[bytes, float]] = field(default_factory=OrderedDict)
    styles: OrderedDict[str, Style] = field(default_factory=OrderedDict)
    examples: OrderedDict[tuple[int, int, int], bytes] = field(default_factory=OrderedDict)

    def forget(self) -> None:
        """Forget everything, since weights were loaded."""
        for kept in (self.images, self.styles, self.examples):
            kept.clear()


@dataclass(frozen=True)
class Context:
    """What all routes share."""

    engine: Engine
    limits: Limits
    access: Access
    options: Options
    files: Mapping[str, PageFile]
    memory: Memory

    def ready(self) -> Model:
        """Return the description of the weights.

        Raises:
            Refusal: they are not loaded yet, or cannot be.
        """
        state = self.engine.state
        if self.engine.model is not None:
            return self.engine.model
        if state.name == "failed" and state.reason:
            raise state.reason
        raise Refusal("not_ready", f"the worker is {state.name}", "", "wait; /api/events says the state")

    async def body(self, request: Request, most: int) -> bytes:
        """Read the body of a request, of at most `most` bytes."""
        return await read_body(request, most, self.limits.body_seconds)

    async def done(
        self, request: Request, client: str, job: Job, body: bytes, number: int | None = None
    ) -> tuple[Answer, bytes]:
        """Put a job into the queue and wait for its result, or for the client to leave.

        Args:
            request: whose body has been read.
            client: its name; without one, the request is a client of its own.
            job: what is asked for.
            body: class ids or a file.
            number: of a drawing, which newer ones of the client replace.

        Raises:
            Refusal: of the queue or the worker.
            Overtaken: by a newer drawing of the client.
        """
        name = client or f"?{secrets.token_hex(8)}"
        waiting = self.engine.submit(name, job, body, number if client else None)
        leaving = asyncio.create_task(_left(request))
        both: set[asyncio.Future[object]] = {waiting.result, leaving}  # type: ignore[arg-type]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.result.done():
                raise Refusal("bad_length", "the client has gone")
            return waiting.result.result()
        finally:
            leaving.cancel()
            if not waiting.result.done():
                self.engine.queue.drop(waiting)


async def _left(request: Request) -> None:
    """Wait until the client closes the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def keep(kept: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    """Add an entry as the newest, and remove the oldest of more than `most`."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)


def ids_response(ids: bytes, headers: dict[str, str] | None = None) -> Response:
    """Answer class ids."""
    return Response(ids, media_type=IDS, headers=headers)
