"""Files that are served as they are."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from importlib.resources.abc import Traversable

from overseer.net.http import Request, Response, Route

__all__ = ["static_routes"]

# What browsers refuse when it is wrong; the system's table, which mimetypes reads, may lack or distort it.
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_TEXT = ("text/", "application/json", "image/svg+xml")


def static_routes(root: Traversable, prefix: str = "/") -> dict[str, Route]:
    """A route for each file under ``root``, and for ``prefix`` itself where there is an ``index.html``.

    The files are listed once, now, so that no request can name another one; contents are read on each
    request. Names that begin with a dot are left out. A ``root`` that is no directory gives no routes.
    """
    routes: dict[str, Route] = {}
    if root.is_dir():
        for name, file in _files(root, ""):
            routes[prefix + name] = _serve(file, _content_type(name))
            if name == "index.html":
                routes[prefix] = routes[prefix + name]
    return routes


def _files(directory: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for entry in directory.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files(entry, f"{path}{entry.name}/")
        elif entry.is_file():
            yield path + entry.name, entry


def _serve(file: Traversable, content_type: str) -> Route:
    def answer(request: Request) -> Response:
        return Response(200, file.read_bytes(), content_type)

    return answer


def _content_type(name: str) -> str:
    dot = name.rfind(".")
    kind = _TYPES.get(name[dot:].lower()) if dot >= 0 else None
    kind = kind or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith(_TEXT) else kind
