"""Static files: a page, its scripts and its styles, under a strict Content-Security-Policy.

Each file is served at its own path, as it is, and with all that it imports in a folder named by a hash of
all files, where browsers may cache it indefinitely. ``index.html`` refers to files in that folder; it is
revalidated each time, and refers to a new folder once a file has changed.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from overseer.net.bundle import bundle
from overseer.net.encoding import accepts_gzip, gzipped
from overseer.net.http import Request, Response, Route
from overseer.util.hashes import sha256

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # No text becomes markup or a script's address; the page makes elements one by one.
        "require-trusted-types-for 'script'",
        "trusted-types overseer",
    )
)
"""Nothing inline, nothing from elsewhere, and no framing."""

_HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_PAGE = "index.html"
_FOR_GOOD = "public, max-age=31536000, immutable"
_REFERENCE = re.compile(rb'((?:href|src)=")([^"#?]+)(")')

# Types that browsers insist on; the system's table, which mimetypes reads, may be incomplete or wrong.
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


def static_routes(root: Path) -> dict[str, Route]:
    """A route for each file under ``root``, and one for ``/`` if there is an ``index.html``.

    The files are read once, now: no request can reach any other, and all of them fit together. Names that
    begin with a dot are left out. A ``root`` that is not a directory gives no routes.
    """
    files = {name: file.read_bytes() for name, file in _files(root, "")} if root.is_dir() else {}
    folder = f"v-{_hash(*(part for name in sorted(files) for part in (name.encode(), files[name])))}/"
    routes: dict[str, Route] = {}
    for name, content in files.items():
        if name == _PAGE:
            content = _referring(content, files, folder)
            routes["/"] = routes["/" + name] = _serve(name, partial(bytes, content))
            continue
        routes["/" + name] = _serve(name, partial(bytes, content))
        routes["/" + folder + name] = _serve(name, partial(bundle, name, files), ("Cache-Control", _FOR_GOOD))
    return routes


def _files(directory: Path, path: str) -> Iterator[tuple[str, Path]]:
    for entry in directory.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files(entry, f"{path}{entry.name}/")
        elif entry.is_file():
            yield path + entry.name, entry


def _referring(page: bytes, files: dict[str, bytes], folder: str) -> bytes:
    """The page with its references to files moved into the folder."""

    def moved(match: re.Match[bytes]) -> bytes:
        before, name, after = match.groups()
        return before + folder.encode() + name + after if name.decode() in files else match[0]

    return _REFERENCE.sub(moved, page)


def _serve(name: str, content: Callable[[], bytes], *headers: tuple[str, str]) -> Route:
    """A route for what ``content`` returns, which is called once, for the first request."""
    content_type = _content_type(name)

    @cache
    def responses() -> tuple[str, Response, Response, Response]:
        """The tag; the response without a body, the whole one, and the compressed one."""
        body = content()
        tag = f'"{_hash(body)}"'
        # A weak tag, as it is that of the compressed body too.
        own = (*_HEADERS, ("ETag", f"W/{tag}"), ("Vary", "Accept-Encoding"), *headers)
        whole = Response(200, body, content_type, own)
        zipped = gzipped(whole) if content_type.startswith(_TEXT) else whole
        return tag, replace(whole, status=304, body=b""), whole, zipped

    def answer(request: Request) -> Response:
        tag, unchanged, whole, zipped = responses()
        known = {each.removeprefix("W/") for each in request.listed("if-none-match")}
        if known & {tag, "*"}:
            return unchanged
        return zipped if accepts_gzip(request) else whole

    return answer


def _hash(*parts: bytes) -> str:
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()[:16]


def _content_type(name: str) -> str:
    dot = name.rfind(".")
    kind = _TYPES.get(name[dot:].lower()) if dot >= 0 else None
    kind = kind or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith(_TEXT) else kind
