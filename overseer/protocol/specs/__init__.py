"""Documents for programs and people, all derived from the declarations in :mod:`overseer.protocol`."""

from __future__ import annotations

from overseer.protocol.specs.manifest import build_manifest
from overseer.protocol.specs.openapi import build_openapi

__all__ = ["build_manifest", "build_openapi"]
