"""Routes of files that are uploaded, of the examples, and of ready-made styles."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shanshui.painting.context import EXAMPLES_KEPT, Context, Style, ids_response, keep
from shanshui.painting.frames import Answer, Job
from shanshui.painting.limits import ARCHIVE_BYTES, LABEL_BYTES, PHOTO_BYTES, check_type
from shanshui.painting.queries import check_names, client_of, size_of
from shanshui.painting.ready_styles import ready_styles, style_name
from shanshui.painting.refusals import Refusal

PHOTOGRAPH, LABEL_MAP, ARCHIVE = ("image/jpeg", "image/png"), ("image/png", "image/bmp"), ("application/zip",)


class UploadRoutes:
    """Photographs, label map files and archives in, styles and class ids out."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def table(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/api/style", self.style, methods=["POST"]),
            Route("/api/import", self.import_map, methods=["POST"]),
            Route("/api/segment", self.segment, methods=["POST"]),
            Route("/api/open", self.open, methods=["POST"]),
            Route("/api/styles", self.styles, methods=["GET"]),
            Route("/api/styles/{number}", self.photograph, methods=["GET"]),
            Route("/api/examples", self.examples, methods=["GET"]),
            Route("/api/examples/{number}", self.example, methods=["GET"]),
        ]

    async def style(self, request: Request) -> Response:
        """Compute and keep the style of a photograph."""
        context = self._context
        check_names(request.query_params, ("client",))
        check_type(request, PHOTOGRAPH)
        model = context.ready()
        if not model.takes_style:
            raise Refusal("no_style", "a photograph, for weights that take no style", "weights with a style encoder")
        body = await context.body(request, PHOTO_BYTES)
        job = Job(do="style", width=model.size[0], height=model.size[1])
        answer, _ = await context.done(request, client_of(request.query_params), job, body)
        name = style_name(body)
        keep(context.memory.styles, name, Style(_vectors(answer)[0], name), context.limits.styles)
        return JSONResponse({"style": name, "thumbnail": answer.report["thumbnail"]})

    async def styles(self, request: Request) -> Response:
        """Answer numbers, names and style names of the ready-made styles: none for weights that take no style."""
        check_names(request.query_params, ())
        ready = ready_styles() if self._context.ready().takes_style else {}
        return JSONResponse([
            {"number": i, "name": name, "style": style_name(content)} for i, (name, content) in enumerate(ready.items())
        ])  # fmt: skip

    async def photograph(self, request: Request) -> Response:
        """Answer the photograph of a ready-made style."""
        check_names(request.query_params, ())
        photographs = list(ready_styles().values())
        number = _number(request, "style", len(photographs))
        return Response(photographs[number], media_type="image/jpeg", headers={"Cache-Control": "no-cache"})

    async def import_map(self, request: Request) -> Response:
        """Answer the class ids of a label map file."""
        return await self._converted(request, "import", LABEL_MAP, LABEL_BYTES)

    async def segment(self, request: Request) -> Response:
        """Answer class ids that the segmenter finds in a photograph."""
        return await self._converted(request, "segment", PHOTOGRAPH, PHOTO_BYTES)

    async def _converted(self, request: Request, do: str, types: tuple[str, ...], most: int) -> Response:
        check_names(request.query_params, ("width", "height", "client"))
        check_type(request, types)
        width, height = size_of(request.query_params, self._context.ready())
        body = await self._context.body(request, most)
        job = Job.model_validate({"do": do, "width": width, "height": height})
        answer, ids = await self._context.done(request, client_of(request.query_params), job, body)
        return ids_response(ids, {"X-Report": json.dumps(answer.report)})

    async def open(self, request: Request) -> Response:
        """Answer the class ids of an exported archive, its seed, and its styles, which are kept."""
        context = self._context
        check_names(request.query_params, ("client",))
        check_type(request, ARCHIVE)
        context.ready()
        body = await context.body(request, ARCHIVE_BYTES)
        answer, ids = await context.done(request, client_of(request.query_params), Job(do="open"), body)
        photographs = [str(name) for name in _list(answer.report["photographs"])]
        answer.report["styles"] = [
            self._kept(Style(vector, name)) for name, vector in zip(photographs, _vectors(answer), strict=True)
        ]
        return ids_response(ids, {"X-Report": json.dumps(answer.report)})

    def _kept(self, style: Style) -> str:
        """Keep a style whose photograph is not here, and return its name: of its own, unless that is kept already."""
        kept, name = self._context.memory.styles, style.photograph
        if kept.get(name) != style:
            name = style_name(repr(style).encode())
        keep(kept, name, style, self._context.limits.styles)
        return name

    async def examples(self, request: Request) -> Response:
        """Answer numbers and names of the examples."""
        check_names(request.query_params, ())
        return JSONResponse([{"number": i, "name": name} for i, name in enumerate(self._context.ready().examples)])

    async def example(self, request: Request) -> Response:
        """Answer the class ids of an example."""
        context = self._context
        check_names(request.query_params, ("width", "height", "client"))
        model = context.ready()
        number = _number(request, "example", len(model.examples))
        width, height = size_of(request.query_params, model, default=True)
        key, kept = (number, width, height), context.memory.examples
        if key not in kept:
            job = Job(do="example", number=number, width=width, height=height)
            _, ids = await context.done(request, client_of(request.query_params), job, b"")
            keep(kept, key, ids, EXAMPLES_KEPT)
        return ids_response(kept[key])


def _number(request: Request, what: str, count: int) -> int:
    """Parse the number in a path, of one of `count`.

    Raises:
        Refusal: it is none, or of none.
    """
    text = str(request.path_params["number"])
    if not (text.isascii() and text.isdigit() and len(text) < 4 and int(text) < count):
        raise Refusal("not_found", f"no such {what}", f"0 to {count - 1}")
    return int(text)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _vectors(answer: Answer) -> list[list[float]]:
    """Take the style vectors out of the worker's report."""
    found = _list(answer.report.pop("vectors"))
    return [[float(str(number)) for number in _list(vector)] for vector in found]
