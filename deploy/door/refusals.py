"""Why a request is not answered, in the words and the shape that OpenAI's clients read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

# The kind that OpenAI's API tells with a status; its clients raise an error of their own for each status.
_KINDS: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
    504: "server_error",
}


class Refusal(Exception):
    """A request that is not answered: one sentence with the way out, and the parameter that it is about."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    @property
    def content(self) -> dict[str, Any]:
        """The body of the answer."""
        kind = _KINDS.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    @property
    def event(self) -> str:
        """The same as the last event of a stream that has begun."""
        return f"data: {json.dumps(self.content, ensure_ascii=False)}\n\n"

    def response(self) -> JSONResponse:
        """The answer to the request."""
        headers = {"cache-control": "no-store"}
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        if self.status == 429:
            headers["retry-after"] = "1"
        return JSONResponse(self.content, self.status, headers)
