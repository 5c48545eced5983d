"""A server with a stand-in worker in a thread, for tests of the drawing page; `python tests/paint_server.py` serves it.

with running(tmp_path) as server:
    server.port, server.address, server.engine
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from shanshui.painting import launch
from shanshui.painting.context import Options
from shanshui.painting.engine import Engine, Offer
from shanshui.painting.limits import Limits
from shanshui.painting.pages import PageFile
from shanshui.painting.server import application

STAND_IN = Path(__file__).resolve().parent / "paint_stand_in.py"
QUICK = Limits(rate=1e6, burst=10**6)
IDS = {"Content-Type": "application/octet-stream"}


@dataclass
class Reply:
    """An answer: status, headers by small name, and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Running:
    """A server that runs."""

    port: int
    engine: Engine
    token: str | None = None
    kept: list[http.client.HTTPConnection] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"http://{self.host}"

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})

    def paint(self, ids: bytes, size: tuple[int, int] = (128, 96), **query: object) -> Reply:
        text = "&".join(f"{k}={v}" for k, v in {"width": size[0], "height": size[1], **query}.items())
        return self.ask("POST", f"/api/paint?{text}", ids, IDS)

    def events(self, client: str = "") -> Iterator[dict[str, Any]]:
        """States as they come, until the caller stops."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", f"/api/events?client={client}" if client else "/api/events")
        answer = connection.getresponse()
        try:
            while line := answer.readline():
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        finally:
            connection.close()

    def wait(self, *names: str, seconds: float = 30) -> None:
        """Until the engine is in one of the states."""
        end = time.monotonic() + seconds
        while self.engine.state.name not in names:
            assert time.monotonic() < end, f"{self.engine.state} instead of {names}"
            time.sleep(0.01)


@contextlib.contextmanager
def running(
    folder: Path, *arguments: str, limits: Limits = QUICK, binding: launch.Binding | None = None,
    options: Options | None = None, command: Sequence[str] | None = None, offer: Offer | None = None,
    files: Mapping[str, PageFile] | None = None, ready: bool = True,
) -> Iterator[Running]:  # fmt: skip
    """Serve at a free port with the stand-in worker, or another command; `arguments` are the stand-in's."""
    weights = folder / "stand-in.safetensors"
    weights.write_bytes(b"stand-in")
    binding = binding or launch.Binding(port=0)
    bound = launch.listening("127.0.0.1", binding.port)
    port = bound.getsockname()[1]
    access = launch.access_of(binding, port)
    engine = Engine(offer or Offer([str(weights)]), limits, command or (sys.executable, str(STAND_IN), *arguments))
    app = application(engine, limits, access, options or Options(weights=("stand-in",)), files)
    server = uvicorn.Server(uvicorn.Config(**launch.settings(app)))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
    thread.start()
    served = Running(port, engine, access.token)
    try:
        if ready:
            served.wait("ready", "failed")
        yield served
    finally:
        server.should_exit = True
        thread.join(10)
        bound.close()


if __name__ == "__main__":
    import tempfile

    parser = argparse.ArgumentParser(description="Serve the page with the stand-in worker until Ctrl-C.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("arguments", nargs="*", help="of the stand-in, after --")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        binding = launch.Binding(port=chosen.port)
        with running(Path(place), *chosen.arguments, binding=binding) as served, contextlib.suppress(KeyboardInterrupt):
            print(served.address, flush=True)
            threading.Event().wait()
