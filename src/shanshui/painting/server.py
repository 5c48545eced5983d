"""The application: the page's files, the state of the worker, and all other routes; docs/paint.md describes them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from shanshui.painting.context import Context, Memory, Options
from shanshui.painting.drawing_routes import DrawingRoutes
from shanshui.painting.engine import Engine
from shanshui.painting.guard import Access, Guard, refused
from shanshui.painting.limits import Limits, RateLimit, check_type
from shanshui.painting.pages import INDEX, PageFile, page_files
from shanshui.painting.queries import IDS, check_names, client_of, whole
from shanshui.painting.refusals import Refusal
from shanshui.painting.upload_routes import UploadRoutes

LIVE_SECONDS = 1.5  # drawings are sent while they are drawn if an image takes less


class PageRoutes:
    """The page, its files, and the state of the worker."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def table(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/", self.index, methods=["GET"]),
            Route("/page/{name:path}", self.page, methods=["GET"]),
            Route("/api/model", self.model, methods=["GET"]),
            Route("/api/events", self.events, methods=["GET"]),
            Route("/api/weights", self.weights, methods=["POST"]),
        ]

    async def index(self, request: Request) -> Response:
        """Answer the page, with the token's cookie where one is needed."""
        check_names(request.query_params, ("token", "lang"))
        response, access = self._file(request, INDEX), self._context.access
        if access.token is not None:
            response.set_cookie(access.cookie, access.token, path="/", httponly=True, samesite="strict")
        return response

    async def page(self, request: Request) -> Response:
        """Answer a file of the page."""
        check_names(request.query_params, ())
        return self._file(request, request.path_params["name"])

    def _file(self, request: Request, name: str) -> Response:
        file = self._context.files.get(name)
        if file is None:
            raise Refusal("not_found", "no such file")
        headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.kind, headers=headers)

    async def model(self, request: Request) -> Response:
        """Answer the description of the weights."""
        check_names(request.query_params, ())
        model, options = self._context.ready(), self._context.options
        live = model.warmup_seconds < LIVE_SECONDS if options.live is None else options.live
        return JSONResponse({
            **model.model_dump(exclude={"examples"}), "live": live, "seed": options.seed,
            "weights": [{"number": i, "name": name} for i, name in enumerate(options.weights)],
            "loaded": self._context.engine.number,
        })  # fmt: skip

    async def events(self, request: Request) -> Response:
        """Stream the state whenever it changes, and a comment now and then."""
        check_names(request.query_params, ("client",))
        client, engine = client_of(request.query_params), self._context.engine
        if engine.listeners >= self._context.limits.listeners:
            raise Refusal("busy", f"{engine.listeners} streams of events", f"at most {self._context.limits.listeners}")
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        return StreamingResponse(self._stream(client), media_type="text/event-stream")

    async def _stream(self, client: str) -> AsyncIterator[str]:
        engine, pause = self._context.engine, self._context.limits.comment_seconds
        changed = engine.listen()
        try:
            while True:
                changed.clear()
                yield f"event: state\ndata: {json.dumps(engine.report(client))}\n\n"
                while not changed.is_set():
                    try:
                        await asyncio.wait_for(changed.wait(), pause)
                    except TimeoutError:
                        yield ": still here\n\n"
        finally:
            engine.leave(changed)

    async def weights(self, request: Request) -> Response:
        """Load the weights of a number, or the same again after a failure."""
        check_names(request.query_params, ("number",))
        number = whole(request.query_params, "number", None, 0, len(self._context.options.weights) - 1)
        check_type(request, (IDS,))
        await self._context.body(request, 0)
        self._context.engine.choose(number)
        return JSONResponse({"loaded": number}, 202)


async def _refused(request: Request, error: Exception) -> Response:
    """Answer a refused request, a path or method that no route has, or an unexpected error."""
    if isinstance(error, Refusal):
        return refused(error)
    if isinstance(error, HTTPException) and error.status_code == 405:
        return refused(Refusal("bad_method", f"method {request.method}", "another method"))
    if isinstance(error, HTTPException):
        return refused(Refusal("not_found", "no such address"))
    return refused(Refusal("server_error", "an error of the server"))


def application(
    engine: Engine, limits: Limits, access: Access, options: Options, files: Mapping[str, PageFile] | None = None
) -> ASGIApp:
    """Create the application.

    Args:
        engine: supervises the worker.
        limits: of requests.
        access: hosts, origins and token.
        options: of the page.
        files: of the page, by default the packaged ones.
    """
    memory = Memory()
    engine.loaded = memory.forget
    context = Context(engine, limits, access, options, page_files() if files is None else files, memory)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        engine.begin()
        yield
        await engine.end()

    routes = [route for kind in (PageRoutes, DrawingRoutes, UploadRoutes) for route in kind(context).table()]
    handlers = dict.fromkeys((Refusal, HTTPException, Exception), _refused)
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return Guard(app, access, RateLimit(limits.rate, limits.burst, limits.clock))
