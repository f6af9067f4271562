"""Values that are made when they are first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Makes a value when it is first called, on one thread, and returns that one ever after.
    (``functools.cached_property`` has had no lock since Python 3.12.)

    Args:
        make: may import and take locks, and calls nothing that needs the value.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: list[T] = []
        # Unranked: held where no other is, and while the value is made.
        self._making = threading.Lock()

    @property
    def made(self) -> bool:
        return bool(self._values)

    def __call__(self) -> T:
        if not self._values:
            with self._making:
                if not self._values:
                    self._values.append(self._make())
        return self._values[0]
