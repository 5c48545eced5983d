"""Refusals of the server: an error code, what was found, what was expected and what to do."""

from __future__ import annotations

STATUS = {  # HTTP status by error code; docs/paint.md lists them
    "bad_size": 400, "bad_length": 400, "bad_query": 400, "bad_host": 400, "no_token": 401, "bad_origin": 403,
    "not_found": 404, "bad_method": 405, "slow_body": 408, "no_style": 409, "no_segmenter": 409,
    "too_large": 413, "bad_type": 415,
    "bad_id": 422, "bad_image": 422, "bad_colours": 422, "too_many": 429, "server_error": 500, 
    "worker_failed": 502, "busy": 503, "not_ready": 503,
}  # fmt: skip
RETRY = {"busy": 2, "not_ready": 1, "too_many": 1}  # seconds, sent as Retry-After


class Refusal(Exception):
    """A request that is refused.

    Args:
        code: one of `STATUS`, which the page translates.
        found: what is wrong.
        wanted: what would be right.
        advice: what to do.
        more: further entries of the answer, such as the position of a wrong id.
    """

    def __init__(self, code: str, found: str, wanted: str = "", advice: str = "", **more: object) -> None:
        self.code, self.found, self.wanted, self.advice, self.more = code, found, wanted, advice, more
        super().__init__(f"{code}: {found}")

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return STATUS[self.code]

    @property
    def content(self) -> dict[str, object]:
        """Return the answer to the client."""
        return {"error": self.code, "found": self.found, "wanted": self.wanted, "advice": self.advice, **self.more}
