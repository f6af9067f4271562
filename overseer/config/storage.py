"""``storage``: how much is kept in ``data_dir``, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from overseer.schema.fields import field
from overseer.schema.quantities import Age, Integer

_DAY = 86400.0


@dataclass(frozen=True)
class StorageConfig:
    """``storage``: bounds on what is kept in ``data_dir``. They bind what is there already, oldest first."""

    runs: int = field(Integer(1, 10_000_000), "How many ended runs the history keeps.", default=10_000)
    age: float = field(Age(), "How long it keeps a run that did not fail.", default=90 * _DAY)
    failed_age: float = field(Age(), "How long it keeps one that failed or was lost.", default=365 * _DAY)
