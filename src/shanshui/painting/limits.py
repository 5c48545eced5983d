"""Limits of the server: bytes, pixels, seconds, requests; and the reading of request bodies within them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from shanshui.painting.refusals import Refusal

LABEL_MEGAPIXELS, PHOTO_MEGAPIXELS = 16, 24
LABEL_BYTES, PHOTO_BYTES, ARCHIVE_BYTES = 4 << 20, 8 << 20, 16 << 20
DISCARDED_BYTES = 32 << 20  # of bodies that are too large; larger ones are answered at once
SMALLEST_SIDE, LARGEST_SIDE = 32, 1024
HEADER_BYTES = 16 << 10
MOST_RUNS = 65536
RUN_BYTES = 3
ADDRESSES = 1024  # whose requests are counted


@dataclass(frozen=True)
class Limits:
    """Limits that tests change.

    Attributes:
        body_seconds: for a whole request body.
        rate: requests per second and address, on average.
        burst: requests of an address at once, such as those of a page that is opened.
        waiting: jobs in the queue.
        cached: images that are kept.
        styles: styles that are kept.
        listeners: streams of events.
        concurrency: connections and requests in progress.
        comment_seconds: between comments in a stream of events.
        patience: seconds in which the worker must use CPU time while it works on a job.
        clock: seconds, monotonic, by which requests are counted.
    """

    body_seconds: float = 10.0
    rate: float = 20.0
    burst: int = 100
    waiting: int = 8
    cached: int = 16
    styles: int = 32
    listeners: int = 32
    concurrency: int = 64
    comment_seconds: float = 15.0
    patience: float = 60.0
    clock: Callable[[], float] = time.monotonic


class RateLimit:
    """Counts requests by address: `burst` at once, refilled at `rate` per second.

    Args:
        rate: requests per second.
        burst: requests at once.
        clock: seconds, monotonic.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Count a request.

        Raises:
            Refusal: there were too many of this address.
        """
        now = self._clock()
        left, before = self._left.pop(address, (float(self._burst), now))
        left = min(self._burst, left + (now - before) * self._rate)
        self._left[address] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > ADDRESSES:
            self._left.popitem(last=False)
        if left < 1:
            raise Refusal("too_many", "too many requests", f"at most {self._rate:g} per second", "wait a second")


def content_length(request: Request) -> int:
    """Return the declared length of a body.

    Raises:
        Refusal: there is none, or it is no number.
    """
    declared = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers or not (declared.isascii() and declared.isdigit()) or len(declared) > 12:
        raise Refusal("bad_length", "a body of no declared length", "a header Content-Length, and no chunks")
    return int(declared)


def check_type(request: Request, allowed: tuple[str, ...]) -> str:
    """Return the content type of a body, without parameters.

    Raises:
        Refusal: it is not one of `allowed`, or the body is compressed.
    """
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found not in allowed:
        raise Refusal("bad_type", f"Content-Type {found or 'missing'}"[:100], " or ".join(allowed))
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal("bad_type", "a compressed body (Content-Encoding)", "a body as it is")
    return found


async def _discard(request: Request, seconds: float) -> None:
    """Read a body that is too large, keeping nothing: a client that still sends would not see the answer."""
    got = 0
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                got += len(part)
                if got > DISCARDED_BYTES:
                    return


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """Read a body within a time, counting its bytes.

    Args:
        request: of which nothing has been read.
        most: bytes.
        seconds: for all of it.

    Raises:
        Refusal: it is too large, of another length than declared, or too slow.
    """
    declared = content_length(request)
    if declared > most:
        if declared <= DISCARDED_BYTES:
            await _discard(request, seconds)
        raise Refusal("too_large", f"a body of {declared} bytes", f"at most {most} bytes", length=declared, most=most)
    parts, got = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                got += len(part)
                if got > most:
                    raise Refusal("too_large", f"a body of more than {most} bytes", f"at most {most} bytes", most=most)
                parts.append(part)
    except TimeoutError:
        raise Refusal("slow_body", f"{got} of {declared} bytes in {seconds:g} seconds", "a body in time") from None
    except ClientDisconnect:
        raise Refusal("bad_length", f"{got} of {declared} bytes", f"{declared} bytes") from None
    if got != declared:
        raise Refusal("bad_length", f"{got} bytes", f"{declared} bytes, as Content-Length declares")
    return b"".join(parts)
