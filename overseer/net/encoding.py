"""Bodies compressed by gzip, for those who accept it: far away, a page's size is what one waits for."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import Any

from overseer.net.http import Request, Response


def accepts_gzip(request: Request) -> bool:
    return "gzip" in request.listed("accept-encoding")


def gzipped(response: Response) -> Response:
    """The response with its body compressed."""
    compressor = zlib.compressobj(wbits=31)  # in the format of gzip
    body = compressor.compress(response.body) + compressor.flush()
    return replace(response, body=body, headers=(*response.headers, ("Content-Encoding", "gzip")))


def json_body(document: Any) -> bytes:
    """A document as indented JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def json_response(request: Request, document: Any) -> Response:
    """The same, for a request."""
    response = Response(200, json_body(document), "application/json", (("Vary", "Accept-Encoding"),))
    return gzipped(response) if accepts_gzip(request) else response
