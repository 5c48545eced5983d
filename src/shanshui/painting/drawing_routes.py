"""Routes of drawings: `/api/paint` and `/api/export`."""

from __future__ import annotations

import hashlib

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shanshui.painting.context import Context, Style, keep
from shanshui.painting.frames import Job
from shanshui.painting.job_queue import Overtaken
from shanshui.painting.limits import check_type
from shanshui.painting.queries import IDS, RUNS, Drawing, drawing_of, ids_of, most_bytes
from shanshui.painting.refusals import Refusal


class DrawingRoutes:
    """Class ids in, an image or an archive out."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def table(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/api/paint", self.paint, methods=["POST"]),
            Route("/api/export", self.export, methods=["POST"]),
        ]

    async def paint(self, request: Request) -> Response:
        """Answer the image of a drawing."""
        context = self._context
        drawing, ids = await self._drawing(request)
        key, images = _key(drawing, ids), context.memory.images
        known = images.get(key)
        headers = {"X-Number": str(drawing.number), "X-Cached": "0" if known is None else "1"}
        if known is None:
            job = self._job("generate", drawing)
            try:
                answer, image = await context.done(request, drawing.client, job, ids, drawing.number)
            except Overtaken:
                return Response(status_code=204, headers=headers)
            known = image, answer.seconds
        keep(images, key, known, context.limits.cached)
        headers["X-Seconds"] = f"{known[1]:.3f}"
        return Response(known[0], media_type=f"image/{drawing.format}", headers=headers)

    async def export(self, request: Request) -> Response:
        """Answer an archive of label map, image and record."""
        drawing, ids = await self._drawing(request)
        _, content = await self._context.done(request, drawing.client, self._job("export", drawing), ids)
        headers = {"Content-Disposition": "attachment; filename=paint.zip"}
        return Response(content, media_type="application/zip", headers=headers)

    async def _drawing(self, request: Request) -> tuple[Drawing, bytes]:
        """Parse parameters and class ids.

        Raises:
            Refusal: something is wrong with them.
        """
        kind = check_type(request, (IDS, RUNS))
        model = self._context.ready()
        drawing = drawing_of(request.query_params, model, self._context.options.seed)
        if drawing.styles and not model.takes_style:
            raise Refusal("no_style", "a style, for weights that take none", "no style")
        self._styles(drawing)
        body = await self._context.body(request, most_bytes(kind, drawing.width * drawing.height))
        return drawing, ids_of(body, kind, drawing.width, drawing.height, model)

    def _styles(self, drawing: Drawing) -> list[Style]:
        """Return a drawing's styles.

        Raises:
            Refusal: one is not kept.
        """
        kept = self._context.memory.styles
        if unknown := [name for name in drawing.styles if name not in kept]:
            raise Refusal("no_style", f"style {unknown[0]}", "one that is kept", "upload the photograph again")
        return [kept[name] for name in drawing.styles]

    def _job(self, do: str, drawing: Drawing) -> Job:
        styles = self._styles(drawing)
        return Job.model_validate({
            "do": do, "width": drawing.width, "height": drawing.height, "seed": drawing.seed,
            "styles": [each.vector for each in styles], "style_names": [each.photograph for each in styles],
            "blend": drawing.blend, "format": drawing.format,
        })  # fmt: skip


def _key(drawing: Drawing, ids: bytes) -> str:
    """Return a name of the image, the same for the same ids and parameters."""
    total = hashlib.sha256(ids)
    what = (drawing.width, drawing.height, drawing.seed, drawing.styles, drawing.blend, drawing.format)
    total.update(repr(what).encode())
    return total.hexdigest()
