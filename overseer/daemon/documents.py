"""What the server says of itself: its manifest, and its messages and API in the formats of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from overseer.auth.rights import ANYONE, Principal
from overseer.net.encoding import json_response
from overseer.net.http import Request, Route
from overseer.protocol.specs import build_manifest, build_openapi
from overseer.supervisor.hub import Hub


class Documents:
    """Makes them, each for a principal, who finds in them what it may see.

    Args:
        encrypted: whether clients reach the server by TLS.
    """

    def __init__(self, hub: Hub, version: str, encrypted: Callable[[], bool]) -> None:
        self._hub = hub
        self._version = version
        self._encrypted = encrypted

    def routes(self) -> dict[str, Route]:
        return {
            "/openapi.json": lambda request: json_response(request, self._openapi(request.peer.principal)),
            "/asyncapi.json": lambda request: json_response(request, self._asyncapi(request)),
            "/ws/manifest": lambda request: json_response(request, self.manifest(request.peer.principal)),
        }

    def manifest(self, principal: Principal) -> dict[str, Any]:
        """As the original program's clients read it."""
        config = self._hub.definitions.config
        manifest = build_manifest(
            name=config.name,
            version=self._version,
            description=config.description,
            actions=self._hub.actions("", principal),
        )
        if principal is not ANYONE:
            # For the playground, which adapts to it.
            manifest["session"] = {
                "name": principal.name,
                "role": principal.role,
                "actions": list(principal.actions if principal.actions is not None else ("*",)),
            }
        return manifest

    def api(self, principal: Principal) -> dict[str, Any]:
        """The API by HTTP, as OpenAPI 3.1."""
        from overseer.api.openapi import build_openapi as build_api_document  # loaded by who asks

        return build_api_document(**self._titles(), tokens=principal is not ANYONE)

    def _asyncapi(self, request: Request) -> dict[str, Any]:
        from overseer.protocol.specs.asyncapi import build_asyncapi  # slow to import (10 ms)

        principal = request.peer.principal
        return build_asyncapi(
            **self._titles(),
            host=request.headers.get("host", "localhost"),
            # A proxy's headers are trusted for this alone: the address at which the client reached us.
            secure=self._encrypted() or request.headers.get("x-forwarded-proto", "") == "https",
            prefix=request.headers.get("x-forwarded-prefix", "").rstrip("/"),
            tokens=principal is not ANYONE,
            actions=self._hub.actions("", principal),
        )

    def _openapi(self, principal: Principal) -> dict[str, Any]:
        return build_openapi(**self._titles(), actions=self._hub.actions("", principal))

    def _titles(self) -> dict[str, str]:
        config = self._hub.definitions.config
        return {
            "title": config.name,
            "version": config.version or self._version,
            "description": config.description,
        }
