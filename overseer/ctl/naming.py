"""What people call a task: its id, of which the first characters do where it was made up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SHORT = 8


def short_id(task_id: str) -> str:
    """The first characters of a made-up id; a name as it is."""
    return task_id[:_SHORT] if _UUID.fullmatch(task_id) else task_id


def shortened(task_ids: Iterable[str]) -> Callable[[str], str]:
    """A function that shortens these ids, unless two of them would then be the same."""
    counts = Counter(map(short_id, dict.fromkeys(task_ids)))

    def shown(task_id: str) -> str:
        short = short_id(task_id)
        return short if counts[short] < 2 else task_id

    return shown
