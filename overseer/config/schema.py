"""The keys of a mapping, declared as the fields of a frozen dataclass.

A field made with :func:`key` is a key of the file; its kind, default and meaning stand in the declaration
and nowhere else: the reader here and the tables of docs/CONFIG.md both go by it. A section to come is a
dataclass more, and a key in the section that holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from overseer.config.kinds import Kind
from overseer.config.report import Spot, quoted
from overseer.config.tree import ListNode, MapNode, Node, Scalar, describe_node
from overseer.util.suggest import nearest

__all__ = ["Key", "Listed", "Named", "Section", "key", "keys_of"]

_DOORS = ("auth", "tls")  # sections that keep strangers out
OWN_PREFIX = "x-"  # keys that begin so are the user's, for anchors and notes


@dataclass(frozen=True)
class Key:
    """One key of a section, as declared."""

    name: str
    kind: Kind
    default: Any
    doc: str  # its meaning, in Markdown, a sentence or two
    env: str  # the environment variable that beats the file when it is not empty
    required: str  # what to say when it is missing; "" when it may be
    default_text: str  # the default in words, where its value would not tell


def key(
    kind: Kind, doc: str, *, default: Any = MISSING, env: str = "", required: str = "", default_text: str = ""
) -> Any:
    """A dataclass field that is a key of the file; without ``default`` it needs ``required`` to say so."""
    metadata = {"kind": kind, "doc": doc, "env": env, "required": required, "default_text": default_text}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default="" if default is MISSING else default, metadata=metadata)


def keys_of(section: type) -> Iterator[Key]:
    """The keys that ``section`` declares, in order."""
    for each in fields(section):
        if each.metadata:
            yield Key(name=each.name, default=_default(each), **each.metadata)


def _default(declared: Field[Any]) -> Any:
    return declared.default if declared.default_factory is MISSING else declared.default_factory()


class Section(Kind):
    """A mapping with the keys that the dataclass ``section`` declares.

    ``finish`` makes what is wanted of the instance, and may note errors and warnings about keys that do not
    go together. ``stray`` is added to a warning about an unknown key that resembles no known one.
    """

    label = "mapping"

    def __init__(
        self, section: type, finish: Callable[[Any, Spot], Any] = lambda read, _: read, *, stray: str = ""
    ) -> None:
        self.section = section
        self._finish = finish
        self._stray = stray
        self._keys = {each.name: each for each in keys_of(section)}

    def read(self, node: Node, spot: Spot, **given: Any) -> Any:
        """An instance, finished; ``given`` are its fields that are no keys."""
        if not isinstance(node, MapNode):
            raise ValueError(f"expected a mapping, found {describe_node(node)}")
        values = dict(given)
        for name, entry in node.entries.items():
            here = spot.child(name, entry.line)
            known = self._keys.get(name)
            if known is None:
                self._unknown(name, entry.node, here)
            elif not (isinstance(entry.node, Scalar) and entry.node.tag == "null"):
                try:
                    values[name] = known.kind.read(entry.node, here)
                except ValueError as error:
                    here.error(str(error))
                    values.setdefault(name, known.default)
        for name, known in self._keys.items():
            if known.required and not values.get(name) and not self._noted(spot, name):
                spot.error(f"{name} is missing: {known.required}")
        return self._finish(self.section(**values), spot)

    def show(self, value: Any) -> str:
        return ""

    def _unknown(self, name: str, node: Node, spot: Spot) -> None:
        if name.startswith(OWN_PREFIX):
            return
        guess = nearest(name, self._keys)
        message = f"unknown key; did you mean {guess}?" if guess else f"unknown key{self._stray}"
        # A server that was told to ask for tokens must not run without because of a slip of the pen.
        if spot.path[0] in _DOORS or (guess in _DOORS and isinstance(node, MapNode)):
            spot.error(message)
        else:
            spot.unknown(message)

    @staticmethod
    def _noted(spot: Spot, name: str) -> bool:
        return any(error.path == (*spot.path, name) for error in spot.report.errors)


class Named(Kind):
    """A mapping of names that the user chooses to sections, each given its name."""

    label = "mapping"

    def __init__(self, section: Section) -> None:
        self.section = section

    def read(self, node: Node, spot: Spot) -> dict[str, Any]:
        if not isinstance(node, MapNode):
            raise ValueError(f"expected a mapping of names, found {describe_node(node)}")
        found: dict[str, Any] = {}
        for name, entry in node.entries.items():
            here = spot.child(name, entry.line)
            if wrong := _name_fault(name):
                here.error(wrong)
                continue
            # A name with nothing under it is read as one without keys, which says what is missing.
            empty = isinstance(entry.node, Scalar) and entry.node.tag == "null"
            try:
                body = MapNode({}, entry.line) if empty else entry.node
                found[name] = self.section.read(body, here, name=name)
            except ValueError as error:
                here.error(str(error))
        return found

    def show(self, value: Any) -> str:
        return ""


class Listed(Kind):
    """A list of sections of one kind."""

    label = "list of mappings"

    def __init__(self, section: Section) -> None:
        self.section = section

    def read(self, node: Node, spot: Spot) -> tuple[Any, ...]:
        if not isinstance(node, ListNode):
            raise ValueError(f"expected a list of mappings, found {describe_node(node)}")
        found: list[Any] = []
        for number, item in enumerate(node.items):
            here = spot.child(number, item.line)
            try:
                found.append(self.section.read(item, here))
            except ValueError as error:
                here.error(str(error))
        return tuple(found)

    def show(self, value: Any) -> str:
        return ""


def _name_fault(name: str) -> str:
    if not name.strip():
        return "a name cannot be empty"
    if not name.isprintable():
        return f"{quoted(name)} holds a character that cannot be printed, which a name may not"
    if len(name) > 256:
        return "a name is at most 256 characters long"
    return ""
