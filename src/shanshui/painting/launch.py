"""Start the server: socket, hosts, token, and the lines for the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import re
import secrets
import socket
import webbrowser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil
import uvicorn

from shanshui.errors import ShanshuiError, UsageError
from shanshui.painting.connections import PromptProtocol
from shanshui.painting.context import Options
from shanshui.painting.engine import Engine, Offer
from shanshui.painting.guard import Access
from shanshui.painting.limits import HEADER_BYTES, Limits
from shanshui.painting.server import application

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
IDLE_SECONDS, LAST_SECONDS = 5, 1  # of a connection between requests; of requests when the server ends
TOKEN = re.compile(r"[A-Za-z0-9_.~-]{16,128}")
HTTP_PORT = 80


@dataclass(frozen=True)
class Binding:
    """Where the server listens and who may use it; `token` is "auto", "none" or a text."""

    host: str = "127.0.0.1"
    port: int = 8000
    allow_hosts: Sequence[str] = ()
    allow_origins: Sequence[str] = ()
    token: str = "auto"


def is_loopback(host: str) -> bool:
    """Tell whether an address can be reached from this machine alone."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return host == "localhost"


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens at `host` and `port`; port 0 takes a free one.

    Raises:
        ShanshuiError: the port is taken, or the address is none of this machine.
    """
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen()
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise ShanshuiError(
                f"port {port} is taken{_taken_by(port)}", "a free port",
                f"end that program, or choose another port: --port {port + 1}, or --port 0 for any free one",
            ) from None  # fmt: skip
        raise ShanshuiError(f"--host {host} --port {port}: {error.strerror or error}", "an address of this machine",
                            "--host 127.0.0.1") from None  # fmt: skip
    return bound


def _taken_by(port: int) -> str:
    """Name the process that listens at a port, where the system tells."""
    with contextlib.suppress(psutil.Error, OSError):
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr.port == port and each.pid:
                return f" by process {each.pid} ({psutil.Process(each.pid).name()})"
    return ""


def access_of(binding: Binding, port: int) -> Access:
    """Return who may use the server at the port it got.

    Raises:
        UsageError: it would be open to other machines without a token or a name, or a name or origin is none.
    """
    local = is_loopback(binding.host)
    if not local and binding.token == "none":
        raise UsageError(f"--host {binding.host} --token none", "a token where other machines can reach the server",
                         "leave --token out: one is made")  # fmt: skip
    wildcard = binding.host.strip("[]") in ("0.0.0.0", "::", "")
    if wildcard and not binding.allow_hosts:
        raise UsageError(
            f"--host {binding.host}", "the name or address that browsers use for this machine",
            "add --allow-host NAME: requests for other names are refused (DNS rebinding)",
        )  # fmt: skip
    names = [*LOOPBACK_NAMES, *binding.allow_hosts, *([] if wildcard else [_bracketed(binding.host)])]
    hosts = {host.lower() for name in names for host in _with_port(name, port)}
    for origin in binding.allow_origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or f"{parts.scheme}://{parts.netloc}" != origin:
            raise UsageError(f"--allow-origin {origin}", "an origin such as https://example.org, without path or *")
    return Access(frozenset(hosts), frozenset(binding.allow_origins), _token(binding.token, local), f"shanshui-{port}")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _with_port(name: str, port: int) -> list[str]:
    """Return the values of the header Host for a name, which may have a port of its own."""
    if not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", name):
        raise UsageError(f"--allow-host {name}", "a name or address, with or without a port")
    if re.search(r":[0-9]+$", name.rpartition("]")[2]):
        return [name]
    return [f"{name}:{port}", *([name] if port == HTTP_PORT or name not in LOOPBACK_NAMES else [])]


def _token(token: str, local: bool) -> str | None:
    if token == "none" or (token == "auto" and local):
        return None
    if token == "auto":
        return secrets.token_urlsafe(24)
    if not TOKEN.fullmatch(token):
        raise UsageError("--token with other characters, or too short", "16 to 128 of A-Z a-z 0-9 _ . ~ -",
                         "leave --token out: one is made")  # fmt: skip
    return token


def address(binding: Binding, access: Access, port: int) -> str:
    """Return the page's address for the terminal, with the token where one is needed."""
    host = binding.allow_hosts[0] if binding.allow_hosts and not is_loopback(binding.host) else _bracketed(binding.host)
    host = host if re.search(r":[0-9]+$", host.rpartition("]")[2]) else f"{host}:{port}"
    return f"http://{host}/" + (f"?token={access.token}" if access.token else "")


def settings(app: object) -> dict[str, object]:
    """Return uvicorn's settings: no logs of requests, limits on headers, connections and idle time."""
    limits = Limits()
    return {
        "app": app, "http": PromptProtocol, "ws": "none", "lifespan": "on", "access_log": False,
        "log_level": "critical",
        "server_header": False, "proxy_headers": False, "limit_concurrency": limits.concurrency,
        "h11_max_incomplete_event_size": HEADER_BYTES, "timeout_keep_alive": IDLE_SECONDS,
        "timeout_graceful_shutdown": LAST_SECONDS,
    }  # fmt: skip


def run(
    offer: Offer, binding: Binding, options: Options, variables: Mapping[str, str], open_page: bool = False
) -> None:
    """Serve until Ctrl-C.

    Args:
        offer: weights and label maps.
        binding: address and access.
        options: of the page.
        variables: of the worker's environment.
        open_page: open it in a browser.

    Raises:
        ShanshuiError: the port is taken, or the access is not allowed.
    """
    bound = listening(binding.host, binding.port)
    port = bound.getsockname()[1]
    access, limits = access_of(binding, port), Limits()
    engine = Engine(offer, limits, variables=variables)
    app = application(engine, limits, access, options)
    where = address(binding, access, port)
    print(f"{where}  loading {offer.weights[0]}; Ctrl-C ends", flush=True)
    if not is_loopback(binding.host):
        print("Other machines can reach this server, without encryption. The token is printed once.", flush=True)
    if open_page:
        webbrowser.open(where)
    server = uvicorn.Server(uvicorn.Config(**settings(app)))  # type: ignore[arg-type]
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(server, bound, engine))


async def _serve(server: uvicorn.Server, bound: socket.socket, engine: Engine) -> None:
    saying = asyncio.create_task(_say(engine))
    try:
        await server.serve([bound])
    finally:
        saying.cancel()


async def _say(engine: Engine) -> None:
    """Print a line when weights are loaded, and when the worker is restarted or fails."""
    changed, said = engine.listen(), ""
    while True:
        await changed.wait()
        changed.clear()
        state, model = engine.state, engine.model
        if state.name == said:
            continue
        if state.name == "ready" and model is not None and said not in ("ready", "painting"):
            width, height = model.size
            print(
                f"{model.name} ({model.generator}), {width}x{height}: {model.warmup_seconds:.2f} s an image", flush=True
            )
        elif state.reason is not None:
            print(f"{state.name}: {state.reason.found}", flush=True)
        said = state.name
