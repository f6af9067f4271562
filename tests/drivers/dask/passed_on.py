"""The server as it is where it cannot reach the workers of its cluster: only their scheduler can."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

import overseer
from overseer.drivers.dask import transport


async def unreachable(self: object, address: str, words: dict[str, Any]) -> Any:
    raise OSError(f"no route to {address}")


transport.Transport._ask_directly = unreachable  # type: ignore[method-assign]

sys.exit(overseer.run_cli("1.0", ""))
