"""Documents for programs and people, all derived from the declarations in :mod:`overseer.messages`."""

from __future__ import annotations

from overseer.documents.manifest import build_manifest
from overseer.documents.openapi import build_openapi

__all__ = ["build_manifest", "build_openapi"]
