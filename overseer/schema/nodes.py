"""A configuration as a small tree of strings, each node with its line, which field types read.

``config/yaml_tree`` makes it from YAML; :func:`to_node` from plain values, which have no lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from overseer.schema.location import Path, quoted
from overseer.schema.scalars import CORE_SCHEMA, TextFloat, TextInt, config_text


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar. ``tag`` is str, int, float, bool or null; ``plain`` unless it is quoted or a block."""

    text: str
    tag: str
    plain: bool
    line: int


@dataclass(frozen=True, slots=True)
class ListNode:
    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A value under a key; ``line`` is the key's."""

    node: Node
    line: int


@dataclass(frozen=True, slots=True)
class MapNode:
    """Keys as the file spells them, in its order, merge keys resolved."""

    entries: dict[str, Entry]
    line: int


Node = Scalar | ListNode | MapNode


def without_texts(node: Node) -> Node:
    """The same tree, good only for finding lines: the file's strings, secrets among them, are gone."""
    if isinstance(node, MapNode):
        entries = {name: Entry(without_texts(each.node), each.line) for name, each in node.entries.items()}
        return MapNode(entries, node.line)
    if isinstance(node, ListNode):
        return ListNode(tuple(map(without_texts, node.items)), node.line)
    return Scalar("", node.tag, node.plain, node.line)


def line_of(root: Node | None, path: Path) -> int:
    """The line (from 1) of the key at ``path``, or of the deepest part of it that exists; 0 for no tree."""
    line = 0 if root is None else root.line
    node = root
    for step in path:
        if isinstance(node, MapNode) and str(step) in node.entries:
            entry = node.entries[str(step)]
            node, line = entry.node, entry.line
        elif isinstance(node, ListNode) and isinstance(step, int) and 0 <= step < len(node.items):
            node = node.items[step]
            line = node.line
        else:
            break
    return line


def to_value(node: Node) -> Any:
    """The node as dict, list, str, bool, None, TextInt and TextFloat: fresh objects throughout."""
    if isinstance(node, MapNode):
        return {key: to_value(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, ListNode):
        return [to_value(item) for item in node.items]
    text = node.text
    if node.tag == "null":
        return None
    if node.tag == "bool":
        return text == "true"
    if node.tag == "int" and len(text) < 1000:  # Python refuses to convert numbers of thousands of digits
        return TextInt(int(text, 0 if text[:2] in ("0x", "0o") else 10), text)
    if node.tag == "float":
        return TextFloat(float(text.lower().replace(".inf", "inf").replace(".nan", "nan")), text)
    return text


def to_node(value: Any, path: Path = ()) -> Node:
    """The tree of plain values, such as :func:`to_value` makes.

    Raises:
        ConfigError: there is a value of another type, at a path relative to ``path``.
    """
    if isinstance(value, Mapping):
        return MapNode(
            {str(key): Entry(to_node(each, (*path, str(key))), 0) for key, each in value.items()}, 0
        )
    if isinstance(value, list | tuple):
        return ListNode(tuple(to_node(each, (*path, place)) for place, each in enumerate(value)), 0)
    if value is None:
        return Scalar("", "null", True, 0)
    text = config_text(value, path)
    if isinstance(value, str):
        # A text that looks like a number was in quotes.
        plain = not CORE_SCHEMA["int"].match(text) and not CORE_SCHEMA["float"].match(text)
        return Scalar(text, "str", plain, 0)
    tag = "bool" if isinstance(value, bool) else "float" if isinstance(value, float) else "int"
    return Scalar(text, tag, True, 0)


def describe_node(node: Node) -> str:
    """What the file holds here, for an error's text."""
    if isinstance(node, MapNode):
        return "a mapping"
    if isinstance(node, ListNode):
        return "a list"
    if node.tag == "null":
        return "nothing"
    kind = {"int": "the number ", "float": "the number ", "bool": "the boolean "}.get(node.tag)
    return f"{kind}{node.text[:40]}" if kind else f"the text {quoted(node.text)}"


def unexpected(node: Node, expected: str, hint: str = "") -> ValueError:
    """The error that a node is not what its place in the file takes."""
    return ValueError(f"expected {expected}, found {describe_node(node)}{hint}")
