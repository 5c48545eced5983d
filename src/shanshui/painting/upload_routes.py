"""Routes of image files that are uploaded, and of the examples."""

from __future__ import annotations

import hashlib
import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shanshui.painting.context import EXAMPLES_KEPT, Context, ids_response, keep
from shanshui.painting.frames import Answer, Job
from shanshui.painting.limits import LABEL_BYTES, PHOTO_BYTES, check_type
from shanshui.painting.queries import check_names, client_of, size_of
from shanshui.painting.refusals import Refusal

PHOTOGRAPH, LABEL_MAP = ("image/jpeg", "image/png"), ("image/png", "image/bmp")
HASH_DIGITS = 12


class UploadRoutes:
    """Photographs and label map files in, styles and class ids out."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def table(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/api/style", self.style, methods=["POST"]),
            Route("/api/import", self.import_map, methods=["POST"]),
            Route("/api/segment", self.segment, methods=["POST"]),
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
        name = hashlib.sha256(body).hexdigest()[:HASH_DIGITS]
        keep(context.memory.styles, name, _vector(answer), context.limits.styles)
        return JSONResponse({"style": name, "thumbnail": answer.report["thumbnail"]})

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

    async def examples(self, request: Request) -> Response:
        """Answer numbers and names of the examples."""
        check_names(request.query_params, ())
        return JSONResponse([{"number": i, "name": name} for i, name in enumerate(self._context.ready().examples)])

    async def example(self, request: Request) -> Response:
        """Answer the class ids of an example."""
        context = self._context
        check_names(request.query_params, ("width", "height", "client"))
        model, text = context.ready(), request.path_params["number"]
        if not (text.isascii() and text.isdigit() and len(text) < 4 and int(text) < len(model.examples)):
            raise Refusal("not_found", "no such example", f"0 to {len(model.examples) - 1}")
        width, height = size_of(request.query_params, model, default=True)
        key, kept = (int(text), width, height), context.memory.examples
        if key not in kept:
            job = Job(do="example", number=int(text), width=width, height=height)
            _, ids = await context.done(request, client_of(request.query_params), job, b"")
            keep(kept, key, ids, EXAMPLES_KEPT)
        return ids_response(kept[key])


def _vector(answer: Answer) -> list[float]:
    vector = answer.report["vector"]
    return [float(number) for number in vector] if isinstance(vector, list) else []
