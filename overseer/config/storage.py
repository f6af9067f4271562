"""``storage``: how much is kept in ``data_dir``, and for how long."""

from __future__ import annotations

from overseer.schema.fields import declared, field
from overseer.schema.quantities import Age, Integer, Percent, Size
from overseer.schema.types import Choice

_DAY = 86400.0
_MIB = 2**20


@declared()
class StorageConfig:
    """``storage``: bounds on what is kept in ``data_dir``, existing data included; the oldest goes first."""

    runs: int = field(Integer(1, 10_000_000), "How many ended runs the history keeps.", default=10_000)
    age: float = field(Age(), "How long it keeps a run that did not fail.", default=90 * _DAY)
    failed_age: float = field(Age(), "How long it keeps one that failed or was lost.", default=365 * _DAY)
    log_bytes: int = field(
        Size(), "Bytes that the logs of all tasks may take; the oldest are deleted.", default=5 * 1024 * _MIB
    )
    log_age: float = field(Age(), "How long a line is kept in a log.", default=30 * _DAY)
    task_log_bytes: int = field(Size(), "Bytes that the log of one task may take.", default=500 * _MIB)
    segment: int = field(
        Size(64 * 1024, 1024 * _MIB),
        "Bytes after which a log goes on in a new file. Logs are compressed and deleted file by file.",
        default=16 * _MIB,
    )
    compress: str = field(
        Choice("gzip", "zstd", "none"),
        "How such a file is compressed once it is full, or a day old. zstd takes a fifth of gzip's time "
        "and needs Python 3.14 or `pip install 'sticky-overseer[zstd]'`.",
        default="gzip",
    )
    min_free: float = field(
        Percent(),
        "How much of the disk is kept free: the oldest logs are deleted for it, and once none is left, lines "
        "are not logged.",
        default=5,
    )
