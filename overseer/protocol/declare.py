"""How the classes of values are declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, dataclass_transform

from overseer.schema.fields import Declared, declared, field

_T = TypeVar("_T", bound=Declared)


VALUES: list[type[Declared]] = []
"""Every class that is declared so, in the order the documents list them."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(*, init: bool = True, kw_only: bool = False) -> Callable[[type[_T]], type[_T]]:
    def register(cls: type[_T]) -> type[_T]:
        made = declared(init=init, kw_only=kw_only)(cls)
        VALUES.append(made)
        return made

    return register
