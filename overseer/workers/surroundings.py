"""What a program finds when it is started, apart from its command line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from overseer.process.identity import Identity
from overseer.util.dataclass_json import from_plain, to_plain


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Variables beside those that are inherited, the directory and umask, and as whom it runs."""

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    inherit: str | Collection[str] = "all"
    cwd: str | None = None
    umask: int | None = None
    identity: Identity = Identity()  # noqa: RUF009 (frozen)

    @classmethod
    def restored(cls, data: Mapping[str, Any]) -> Surroundings:
        """Those that another program has exported."""
        inherit = data["inherit"]
        read = from_plain(cls, {**data, "inherit": ""})
        return replace(read, inherit=inherit if isinstance(inherit, str) else tuple(inherit))

    def export(self) -> dict[str, Any]:
        """What another program has to know of them."""
        said: dict[str, Any] = to_plain(self)
        return said
