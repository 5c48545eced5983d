"""Who may ask: checks of Host, Origin, token and rate before any route, and the headers of every answer."""

from __future__ import annotations

import hashlib
import hmac
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shanshui.painting.limits import HEADER_BYTES, RateLimit
from shanshui.painting.refusals import RETRY, Refusal

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; "
    "object-src 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}  # fmt: skip
CORS_METHODS, CORS_HEADERS, CORS_SECONDS = "GET, POST", "Content-Type, Authorization", "600"
EXPOSED = "X-Number, X-Seconds, X-Cached, X-Report, Retry-After"
OWN_SITES = ("same-origin", "none")
METHODS = ("GET", "HEAD", "POST", "OPTIONS")


@dataclass(frozen=True)
class Access:
    """Who may use the server.

    Attributes:
        hosts: values of the header Host that are ours, with port.
        origins: foreign origins whose pages may use the API.
        token: secret that every request needs, or None.
        cookie: name of the cookie that holds it.
    """

    hosts: frozenset[str]
    origins: frozenset[str] = frozenset()
    token: str | None = None
    cookie: str = "shanshui"


def refused(refusal: Refusal) -> JSONResponse:
    """Return the answer to a refused request."""
    headers = {"Retry-After": str(RETRY[refusal.code])} if refusal.code in RETRY else {}
    if refusal.code in ("slow_body", "too_large", "bad_length"):
        headers["Connection"] = "close"  # what is left of the body is not read
    return JSONResponse(refusal.content, refusal.status, headers)


class Guard:
    """Middleware around all routes.

    Args:
        app: the routes.
        access: hosts, origins and token.
        rate: of requests by address.
    """

    def __init__(self, app: ASGIApp, access: Access, rate: RateLimit) -> None:
        self._app, self._access, self._rate = app, access, rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request and pass it on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin, begun = headers.get("origin"), False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                self._complete(MutableHeaders(scope=message), origin)
            await send(message)

        try:
            answer = self._checked(scope, headers)
            await (answer or self._app)(scope, receive, guarded)
        except Refusal as refusal:
            await refused(refusal)(scope, receive, guarded)
        except Exception as error:  # the last resort: a line for the terminal, none of it for the client
            print(f"shanshui paint: {scope['path'][:80]!r}: {type(error).__name__}: {error}", file=sys.stderr)
            if begun:
                raise
            await refused(Refusal("server_error", "an error of the server"))(scope, receive, guarded)

    def _complete(self, headers: MutableHeaders, origin: str | None) -> None:
        """Add the headers that every answer has."""
        for name, value in HEADERS.items():
            headers[name] = value
        headers.setdefault("Cache-Control", "no-store")
        if self._access.origins:
            headers.add_vary_header("Origin")
            if origin in self._access.origins:
                headers["Access-Control-Allow-Origin"] = origin
                headers["Access-Control-Expose-Headers"] = EXPOSED
                headers["Cross-Origin-Resource-Policy"] = "cross-origin"

    def _checked(self, scope: Scope, headers: Headers) -> Response | None:
        """Check a request; return the answer to a preflight.

        Raises:
            Refusal: the request is not allowed.
        """
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES:
            raise Refusal("too_large", "headers that are too long", f"at most {HEADER_BYTES} bytes")
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._access.hosts:
            raise Refusal("bad_host", f"Host {', '.join(hosts)[:100]!r}", "the address that the server printed",
                          "name further hosts with --allow-host")  # fmt: skip
        client = scope.get("client")
        self._rate.check(client[0] if client else "")
        method = scope["method"]
        if method not in METHODS:
            raise Refusal("bad_method", f"method {method[:20]}", "GET or POST")
        foreign = self._check_origin(scope, headers)
        if method == "OPTIONS":
            if not foreign:
                raise Refusal("bad_method", "OPTIONS without a foreign origin", "GET or POST")
            return Response(status_code=204, headers={
                "Access-Control-Allow-Methods": CORS_METHODS, "Access-Control-Allow-Headers": CORS_HEADERS,
                "Access-Control-Max-Age": CORS_SECONDS,
            })  # fmt: skip
        self._check_token(scope, headers)
        return None

    def _check_origin(self, scope: Scope, headers: Headers) -> bool:
        """Tell whether a page of an allowed foreign origin asks.

        Raises:
            Refusal: a page of another origin asks.
        """
        origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
        if len(origins) == 1 and origins[0] in self._access.origins:
            return True
        own = {f"{scheme}://{host}" for host in self._access.hosts for scheme in ("http", "https")}
        if any(origin.lower() not in own for origin in origins) or len(origins) > 1:
            raise Refusal("bad_origin", f"Origin {', '.join(origins)[:100]!r}", "the page of this server",
                          "name the origin with --allow-origin")  # fmt: skip
        opened = (  # a link to the page on another site may be followed
            scope["method"] in ("GET", "HEAD") and scope["path"] == "/"
            and headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        )  # fmt: skip
        if any(site not in OWN_SITES for site in sites) and not opened:
            raise Refusal("bad_origin", f"Sec-Fetch-Site {', '.join(sites)[:100]!r}", "the page of this server")
        return False

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        """Check the token, in the cookie, the header Authorization or, on the first page, the address.

        Raises:
            Refusal: it is missing or wrong.
        """
        if self._access.token is None:
            return
        offered = [cookie_value(headers, self._access.cookie), headers.get("authorization", "").removeprefix("Bearer ")]
        if scope["path"] == "/":
            offered += parse_qs(scope["query_string"].decode("latin-1")).get("token", [])[:1]
        if not any(same_text(each, self._access.token) for each in offered):
            raise Refusal("no_token", "no token, or a wrong one", "the address that the server printed, with ?token=")


def same_text(one: str, other: str) -> bool:
    """Compare two texts in a time that does not depend on where they differ."""
    digests = (hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest() for text in (one, other))
    return hmac.compare_digest(*digests)


def cookie_value(headers: Mapping[str, str], name: str) -> str:
    """Return the value of a cookie; empty without one."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""
