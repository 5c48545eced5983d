"""Who may use the drawing page's server, headers of every answer, and requests that are slow, wrong or too many."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paint_server import IDS, QUICK, Running, running
from test_paint_api import DRAWING, HERE

from shanshui.errors import UsageError
from shanshui.painting import launch
from shanshui.painting.connections import PromptProtocol
from shanshui.painting.limits import Limits, RateLimit
from shanshui.painting.refusals import Refusal

SITE = "https://example.org"
PAINT = b"/api/paint?" + HERE.encode()
TOKEN = "0123456789abcdef-secret"
BRIEF = Limits(rate=1e6, burst=10**6, body_seconds=0.5, listeners=2, comment_seconds=0.2)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("access"), limits=BRIEF) as served:
        yield served


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With a token, a further host and a foreign origin."""
    binding = launch.Binding(port=0, allow_hosts=["paint.test"], allow_origins=[SITE], token=TOKEN)
    with running(tmp_path_factory.mktemp("opened"), binding=binding) as served:
        yield served


def raw(server: Running, *parts: bytes, pause: float = 0.0, wait: float = 3.0) -> bytes:
    """Send bytes as they are, and return all that comes back until the server closes or says no more."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        connection.settimeout(wait)
        found = b""
        try:
            while part := connection.recv(65536):
                found += part
                if b"\r\n\r\n" in found and b'"error"' in found:
                    break
        except TimeoutError:
            pass
        return found


def head(
    server: Running, method: bytes = b"POST", path: bytes = b"/api/paint?" + HERE.encode(), **headers: str
) -> bytes:
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: " + server.host.encode()]
    lines += [f"{name.replace('_', '-')}: {value}".encode() for name, value in headers.items()]
    return b"\r\n".join(lines) + b"\r\n\r\n"


# --- hosts and origins --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "right"),
    [("127.0.0.1:{}", True), ("localhost:{}", True), ("LOCALHOST:{}", True), ("[::1]:{}", True),
     ("127.0.0.1", False), ("127.0.0.1:1", False), ("localhost", False), ("evil.test", False), ("evil.test:{}", False),
     ("127.0.0.1.evil.test:{}", False), ("", False), ("127.0.0.1:{}, evil.test", False)],
)  # fmt: skip
def test_host_must_be_ours(server: Running, host: str, right: bool) -> None:
    reply = server.get("/api/model", Host=host.format(server.port))
    assert reply.status == (200 if right else 400)
    assert right or reply.json["error"] == "bad_host"


def test_missing_and_repeated_hosts_are_refused(server: Running) -> None:
    once = f"Host: {server.host}\r\n".encode()
    assert b" 400 " in raw(server, b"GET / HTTP/1.1\r\n" + once + once + b"\r\n")
    assert b" 400 " in raw(server, b"GET / HTTP/1.0\r\n\r\n")


ORIGINS = [
    ({}, True), ({"Origin": "http://{}"}, True), ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True), ({"Origin": SITE}, False), ({"Origin": "null"}, False),
    ({"Origin": "http://127.0.0.1:1"}, False), ({"Origin": "http://evil.test"}, False), ({"Origin": ""}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False), ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Origin": "http://{}", "Sec-Fetch-Site": "cross-site"}, False),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "right"), ORIGINS)
def test_pages_of_other_sites_are_refused(server: Running, headers: dict[str, str], right: bool) -> None:
    sent = {name: value.format(server.host) for name, value in headers.items()}
    for reply in (
        server.ask("POST", f"/api/paint?{HERE}", DRAWING, {**IDS, **sent}),
        server.ask("GET", "/api/model", None, sent),
    ):
        assert reply.status == (200 if right else 403)
        assert right or reply.json["error"] == "bad_origin"


def test_link_to_the_page_may_be_followed(server: Running) -> None:
    navigation = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert server.ask("GET", "/", None, navigation).status == 200
    assert server.ask("GET", "/", None, {**navigation, "Sec-Fetch-Dest": "iframe"}).status == 403
    assert server.ask("GET", "/api/model", None, navigation).status == 403
    assert server.ask("POST", f"/api/paint?{HERE}", DRAWING, {**IDS, **navigation}).status == 403


def test_preflight_is_answered_for_allowed_origins_alone(server: Running, opened: Running) -> None:
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    refused = server.ask("OPTIONS", "/api/paint", None, {**wanted, "Origin": SITE})
    assert (refused.status, "access-control-allow-origin" in refused.headers) == (403, False)
    assert server.ask("OPTIONS", "/api/paint", None, wanted).status == 405
    foreign = opened.ask("OPTIONS", "/api/paint", None, {**wanted, "Origin": "https://example.com"})
    assert (foreign.status, "access-control-allow-origin" in foreign.headers) == (403, False)
    allowed = opened.ask("OPTIONS", "/api/paint", None, {**wanted, "Origin": SITE})
    assert allowed.status == 204
    assert allowed.headers["access-control-allow-origin"] == SITE
    assert allowed.headers["access-control-allow-methods"] == "GET, POST"
    assert allowed.headers["access-control-max-age"] == "600"
    assert "origin" in allowed.headers["vary"].lower()
    assert "access-control-allow-credentials" not in allowed.headers


def test_allowed_origin_may_ask_with_the_token(opened: Running) -> None:
    headers = {**IDS, "Origin": SITE, "Sec-Fetch-Site": "cross-site"}
    without = opened.ask("POST", f"/api/paint?{HERE}", DRAWING, headers)
    assert (without.status, without.headers["access-control-allow-origin"]) == (401, SITE)
    reply = opened.ask("POST", f"/api/paint?{HERE}", DRAWING, {**headers, "Authorization": f"Bearer {TOKEN}"})
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, SITE)
    assert "X-Number" in reply.headers["access-control-expose-headers"]


# --- token --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/page/index.html", "/api/model", "/api/events", "/api/examples", "/nothing"])
def test_everything_needs_the_token(opened: Running, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Bearer {TOKEN}x"},
                    {"Cookie": f"shanshui-{opened.port}=x"}, {"Cookie": f"other={TOKEN}"}):  # fmt: skip
        reply = opened.ask("GET", path, None, headers)
        assert (reply.status, reply.json["error"]) == (401, "no_token")
    assert opened.ask("POST", f"/api/paint?{HERE}", DRAWING, IDS).status == 401


def test_first_page_gives_the_cookie(opened: Running) -> None:
    assert opened.get(f"/?token={TOKEN[:-1]}").status == 401
    page = opened.get(f"/?token={TOKEN}")
    assert page.status == 200
    cookie = page.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert opened.get("/api/model", Cookie=cookie.partition(";")[0]).status == 200
    assert opened.get(f"/api/model?token={TOKEN}").status == 401


def test_named_host_is_ours(opened: Running) -> None:
    for host in (f"paint.test:{opened.port}", "paint.test"):
        assert opened.get("/api/model", Host=host, Authorization=f"Bearer {TOKEN}").status == 200
    assert opened.get("/api/model", Host="paint.test:1", Authorization=f"Bearer {TOKEN}").status == 400


# --- headers, methods, paths --------------------------------------------------------------------------


def test_every_answer_has_the_headers(server: Running) -> None:
    for reply in (server.get("/"), server.get("/nothing"), server.get("/api/model"), server.get("/", Host="x"),
                  server.paint(DRAWING), server.paint(b""), server.ask("DELETE", "/")):  # fmt: skip
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'")
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in reply.headers
        assert not any(name.startswith("access-control") for name in reply.headers)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND"])
def test_other_methods_are_refused(server: Running, method: str) -> None:
    assert b" 405 " in raw(server, head(server, method.encode(), b"/"))


def test_routes_have_their_methods(server: Running) -> None:
    for path in ("/api/paint", "/api/export", "/api/style", "/api/import", "/api/segment", "/api/open", "/api/weights"):
        assert server.get(path).json["error"] == "bad_method"
    for path in ("/", "/page/index.html", "/api/model", "/api/events", "/api/examples", "/api/styles"):
        assert server.ask("POST", path, b"", IDS).json["error"] == "bad_method"


PATHS = [
    "/page/../../etc/passwd", "/page/%2e%2e/%2e%2e/etc/passwd", "/page/..%2f..%2fserver.py", "/page//etc/passwd",
    "/page/%00", "/page/index.html%00", "/page/", "/page", "/page/index.html/", "/etc/passwd", "/%2e%2e/server.py",
    "/page/__init__.py", "/page/" + "a" * 8192, "/api", "/api/", "/api/paint/", "/api/model/x", "/INDEX.HTML",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=[path[:40] for path in PATHS])
def test_paths_reach_no_file(server: Running, path: str) -> None:
    found = raw(server, head(server, b"GET", path.encode()))
    assert found.startswith(b"HTTP/1.1 404 ")
    assert b'"not_found"' in found


def test_headers_that_are_too_long_are_refused(server: Running) -> None:
    """In one packet, or in many that never end."""
    assert b" 413 " in raw(server, head(server, b"GET", b"/", X_Long="a" * 20000))
    whole = head(server, b"GET", b"/", X_Long="a" * 100000)[:-4]
    assert b" 400 " in raw(server, *(whole[at : at + 9000] for at in range(0, 27000, 9000)), pause=0.05)


# --- bodies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json",
     "image/jpeg", "application/octet-streams"],
)  # fmt: skip
def test_types_of_simple_forms_are_refused(server: Running, kind: str) -> None:
    for path in (f"/api/paint?{HERE}", f"/api/export?{HERE}", "/api/weights?number=0"):
        reply = server.ask("POST", path, b"", {"Content-Type": kind} if kind else {})
        assert (reply.status, reply.json["error"]) == (415, "bad_type")


@pytest.mark.parametrize("route", ["style", "import", "segment", "open"])
@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "image/svg+xml", "image/tiff"])
def test_types_of_files_are_checked(server: Running, route: str, kind: str) -> None:
    reply = server.ask("POST", f"/api/{route}", b"x", {"Content-Type": kind})
    assert (reply.status, reply.json["error"]) == (415, "bad_type")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "x"])
def test_compressed_bodies_are_refused(server: Running, coding: str) -> None:
    reply = server.ask("POST", f"/api/paint?{HERE}", DRAWING, {**IDS, "Content-Encoding": coding})
    assert (reply.status, reply.json["error"]) == (415, "bad_type")


OCTETS = {"Content_Type": "application/octet-stream"}


def test_chunked_bodies_are_refused(server: Running) -> None:
    found = raw(server, head(server, **OCTETS, Transfer_Encoding="chunked"), b"5\r\nabcde\r\n0\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 400 ")
    assert b'"bad_length"' in found


@pytest.mark.parametrize("length", ["-1", "1x", "1, 2", "9" * 30])
def test_lengths_that_are_none_are_refused(server: Running, length: str) -> None:
    found = raw(server, head(server, **OCTETS, Content_Length=length))
    assert b" 400 " in found.splitlines()[0]


def test_bodies_without_length_are_refused(server: Running) -> None:
    found = raw(server, head(server, **OCTETS))
    assert b'"bad_length"' in found


def test_stalled_body_is_given_up(server: Running) -> None:
    start = time.monotonic()
    found = raw(server, head(server, **OCTETS, Content_Length=str(len(DRAWING))), DRAWING[:100], wait=8)
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b'"slow_body"' in found
    assert time.monotonic() - start < 8


def test_connection_without_a_whole_head_is_closed(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a first request."""
    monkeypatch.setattr(PromptProtocol, "head_seconds", 0.3)
    for first in (b"", head(server, b"GET", b"/")):
        for begun in (b"G", b"GET / HTTP/1.1\r\nHost: x\r\n") + ((b"",) if not first else ()):
            with socket.create_connection(("127.0.0.1", server.port), timeout=3) as connection:
                connection.sendall(first)
                if first:
                    answer = b""
                    while b"</html>" not in answer:
                        answer += (part := connection.recv(65536))
                        assert part, answer
                connection.sendall(begun)
                assert connection.recv(65536) == b""


def test_large_body_is_refused_before_it_is_there(server: Running) -> None:
    start = time.monotonic()
    found = raw(server, head(server, **OCTETS, Content_Length=str(10**10)), wait=8)
    assert found.startswith(b"HTTP/1.1 413 ")
    assert time.monotonic() - start < 8


def test_body_that_ends_early_harms_nobody(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head(server, **OCTETS, Content_Length=str(len(DRAWING))) + DRAWING[:-1])
    assert server.paint(DRAWING).status == 200


# --- numbers ------------------------------------------------------------------------------------------


def test_requests_of_an_address_are_limited(tmp_path: Path) -> None:
    now = [0.0]
    with running(tmp_path, limits=Limits(rate=0.5, burst=5, clock=lambda: now[0])) as served:
        replies = [served.get("/api/model") for _ in range(8)]
        assert [reply.status for reply in replies] == [200] * 5 + [429] * 3
        assert (replies[-1].json["error"], replies[-1].headers["retry-after"]) == ("too_many", "1")
        now[0] = 2.1
        assert [served.get("/api/model").status for _ in range(2)] == [200, 429]


def test_addresses_are_counted_apart_and_refilled() -> None:
    now = [0.0]
    limit = RateLimit(20, 3, lambda: now[0])

    def allowed(address: str) -> bool:
        try:
            limit.check(address)
        except Refusal:
            return False
        return True

    assert [allowed("a") for _ in range(4)] == [True, True, True, False]
    assert allowed("b")
    now[0] = 0.051
    assert [allowed("a"), allowed("a")] == [True, False]
    for number in range(5000):
        limit.check(f"10.0.0.{number}")
    assert allowed("a")


def test_streams_of_events_are_limited_and_end(server: Running) -> None:
    first, second = server.events(), server.events()
    assert next(first)["state"] == next(second)["state"] == "ready"
    reply = server.get("/api/events")
    assert (reply.status, reply.json["error"]) == (503, "busy")
    first.close()
    assert server.ask("HEAD", "/api/events").status in (200, 503)
    end = time.monotonic() + 5
    while server.engine.listeners > 1:
        assert time.monotonic() < end
        time.sleep(0.05)
    again = server.events()
    assert next(again)["state"] == "ready"
    again.close()
    second.close()


# --- command line -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("binding", "found"),
    [
        (launch.Binding(host="0.0.0.0"), "--host 0.0.0.0"),
        (launch.Binding(host="::"), "--host ::"),
        (launch.Binding(host="192.0.2.1", token="none"), "--token none"),
        (launch.Binding(token="short"), "--token"),
        (launch.Binding(token="with spaces in between"), "--token"),
        (launch.Binding(allow_origins=["*"]), "--allow-origin *"),
        (launch.Binding(allow_origins=["https://example.org/"]), "--allow-origin"),
        (launch.Binding(allow_origins=["example.org"]), "--allow-origin"),
        (launch.Binding(allow_hosts=["a/b"]), "--allow-host a/b"),
        (launch.Binding(allow_hosts=["*"]), "--allow-host"),
    ],
)
def test_access_that_is_too_open_is_refused(binding: launch.Binding, found: str) -> None:
    with pytest.raises(UsageError) as refused:
        launch.access_of(binding, 8000)
    assert found in refused.value.found
    assert refused.value.expected


def test_other_machines_need_a_token_that_is_made() -> None:
    access = launch.access_of(launch.Binding(host="0.0.0.0", allow_hosts=["box.lan"]), 8000)
    assert access.token is not None
    assert len(access.token) >= 32
    assert access.token != launch.access_of(launch.Binding(host="0.0.0.0", allow_hosts=["box.lan"]), 8000).token
    assert {"box.lan", "box.lan:8000"} <= access.hosts
    binding = launch.Binding(host="0.0.0.0", allow_hosts=["box.lan"])
    assert launch.address(binding, access, 8000) == f"http://box.lan:8000/?token={access.token}"
    alone = launch.access_of(launch.Binding(), 8000)
    assert (alone.token, alone.hosts) == (None, {"127.0.0.1:8000", "localhost:8000", "[::1]:8000"})
    assert launch.address(launch.Binding(), alone, 8000) == "http://127.0.0.1:8000/"
    assert QUICK.waiting == 8
