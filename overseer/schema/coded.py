"""Field types whose values are encoded as strings in messages."""

from __future__ import annotations

from typing import Any

from overseer.schema.limits import MessageLimits
from overseer.schema.types import FieldType, Unreadable


class Coded(FieldType):
    """A value that messages hold as a string, which :meth:`load` reads."""

    is_text = True
    converts = True

    def from_json(self, value: Any, where: str, limits: MessageLimits) -> Any:
        if not isinstance(value, str):
            raise self.wrong(value, where)
        try:
            return self.load(value)
        except ValueError as error:
            raise Unreadable(self._unreadable(value, where, error)) from None

    def _unreadable(self, value: str, where: str, error: ValueError) -> str:
        return f"{where} must be {self.expected}"
