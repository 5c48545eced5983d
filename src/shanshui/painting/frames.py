"""Messages between the server and its worker process: a length of 4 bytes, a JSON header, and raw bytes.

The length is that of the header, big-endian; the header's `bytes` is the number of raw bytes after it.
"""

from __future__ import annotations

from asyncio import StreamReader
from typing import BinaryIO, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

LONGEST_HEADER = 1 << 20
LONGEST_BODY = 1 << 28


class Message(BaseModel):
    """A header; `bytes` is set when the message is packed."""

    model_config = ConfigDict(extra="forbid")
    bytes: int = 0


class Job(Message):
    """A request to the worker, with a body of class ids or of a file.

    Attributes:
        do: what is asked for.
        weights: file, for `load`.
        labels: folder of label maps to start from, for `load`; empty for none.
        width: of the label map and the image, pixels.
        height: of the label map and the image, pixels.
        seed: of the noise.
        styles: none, one or two style vectors.
        style_names: names of their photographs, for the record of an export.
        blend: share of the second style.
        format: of the image.
        number: of the example.
    """

    do: Literal["load", "generate", "export", "style", "import", "segment", "open", "example"]
    weights: str = ""
    labels: str = ""
    width: int = 0
    height: int = 0
    seed: int = 0
    styles: list[list[float]] = []
    style_names: list[str] = []
    blend: float = 0.5
    format: Literal["jpeg", "png"] = "jpeg"
    number: int = 0


class Class(BaseModel):
    """A class of the label maps, as the palette lists it."""

    id: int
    name: str
    zh: str
    group: str
    colour: str


class Gmac(BaseModel):
    """Multiply-accumulates of one image, in units of 1e9: computed densely, and on a drawing's distinct patches."""

    dense: float | None = None
    patches: float | None = None


class Model(BaseModel):
    """Description of the loaded weights, answered to `GET /api/model`."""

    name: str
    generator: str
    size: list[int]
    sizes: list[list[int]]
    multiple: int
    one_size: bool
    classes: list[Class]
    no_class: int | None
    takes_style: bool
    takes_seed: bool
    weights_sha256: str
    parameters: int | None = None
    gmac: Gmac = Gmac()
    warmup_seconds: float = 0.0
    version: str
    examples: list[str] = []


class Answer(Message):
    """An answer of the worker to a job.

    Attributes:
        kind: `progress` comes before the others while weights are loaded.
        step: number of the step of `steps`, with `progress`.
        steps: number of steps.
        seconds: that the work took.
        model: description, with the answer to `load`.
        report: further results.
        code: of the refusal, one of `refusals.STATUS`.
        found: what is wrong.
        wanted: what would be right.
        advice: what to do.
    """

    kind: Literal["progress", "done", "refused"]
    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    model: Model | None = None
    report: dict[str, object] = {}
    code: str = ""
    found: str = ""
    wanted: str = ""
    advice: str = ""


M = TypeVar("M", bound=Message)


class BrokenStream(Exception):
    """The other process sent what is no message, or ended in the middle of one."""


def packed(message: Message, body: bytes = b"") -> bytes:
    """Return the bytes of a message."""
    header = message.model_copy(update={"bytes": len(body)}).model_dump_json(exclude_defaults=False).encode()
    return len(header).to_bytes(4, "big") + header + body


def _length(start: bytes) -> int:
    length = int.from_bytes(start, "big")
    if not 0 < length <= LONGEST_HEADER:
        raise BrokenStream(f"a header of {length} bytes")
    return length


def _parsed(kind: type[M], header: bytes) -> M:
    try:
        message = kind.model_validate_json(header)
    except ValueError as error:
        raise BrokenStream(str(error)) from None
    if not 0 <= message.bytes <= LONGEST_BODY:
        raise BrokenStream(f"a body of {message.bytes} bytes")
    return message


def _exactly(stream: BinaryIO, length: int) -> bytes:
    found = stream.read(length)
    if len(found) != length:
        raise BrokenStream(f"{len(found)} of {length} bytes")
    return found


def read(stream: BinaryIO, kind: type[M]) -> tuple[M, bytes] | None:
    """Read a message from a buffered stream; None at its end.

    Raises:
        BrokenStream: it ends within a message, or holds something else.
    """
    start = stream.read(4)
    if not start:
        return None
    if len(start) < 4:
        raise BrokenStream("the end within a length")
    message = _parsed(kind, _exactly(stream, _length(start)))
    return message, _exactly(stream, message.bytes)


async def receive(stream: StreamReader, kind: type[M]) -> tuple[M, bytes]:
    """Read a message from an asynchronous stream.

    Raises:
        BrokenStream: it holds something else.
        asyncio.IncompleteReadError: it ended.
    """
    message = _parsed(kind, await stream.readexactly(_length(await stream.readexactly(4))))
    return message, await stream.readexactly(message.bytes)
