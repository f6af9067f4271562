"""YAML text to a small tree of texts, every node with its line: the only module that knows PyYAML.

PyYAML scans and composes; what it would make of the values (YAML 1.1: ``off`` is false, ``12:30`` is 750)
is never used. Merge keys and aliases are resolved here, and whatever a hostile or broken file may hold
(cycles, nesting, aliases that multiply) is stopped here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.composer import Composer, ComposerError
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from overseer.errors import ConfigError
from overseer.schema.location import Location, Report, quoted
from overseer.schema.nodes import Entry, ListNode, MapNode, Node, Scalar, describe_node
from overseer.schema.scalars import CORE_SCHEMA

MAX_DEPTH = 64  # levels of nesting, aliases expanded
MAX_NODES = 1_000_000  # values in the whole tree, aliases and merge keys expanded

_STANDARD = "tag:yaml.org,2002:"
_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_CHARACTER = "half a surrogate pair (\\ud800 to \\udfff) is not a character"


def parse_yaml(text: str, report: Report) -> Node | None:
    """The tree of the one document in ``text``; None when it is empty.

    Errors that leave the rest readable (a key twice, an unknown tag) go into ``report``.

    Raises:
        ConfigError: it is not YAML, nests too deeply, refers to itself or grows without bound.
    """
    loader = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"the character {error.character:#x} is not allowed in YAML", file=report.file, line=line
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError(
            _in_plain_words(error), file=report.file, line=mark.line + 1 if mark else 1
        ) from None
    except (ValueError, OverflowError):  # PyYAML hands escapes such as "\\UFFFFFFFF" to chr() as they are
        line = 1 if loader is None else loader.line + 1
        raise ConfigError("an escape or number that is out of range", file=report.file, line=line) from None
    if root is None:
        return None
    node = _Builder(report).build(root, Location(report, (), 1))
    return None if isinstance(node, Scalar) and node.tag == "null" else node


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML up to the node graph, with our tags, bounded depth, and the liberties that Go's YAML takes."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self._depth = 0

    def scan_to_next_token(self) -> None:
        # PyYAML trips over tabs wherever they are; only in an indentation do they do harm.
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or not self.allow_simple_key):
            self.forward()
            super().scan_to_next_token()

    def scan_plain_spaces(self, indent: Any, start_mark: Any) -> Any:
        length = 0
        while self.peek(length) in " \t":
            length += 1
        spaces = self.prefix(length)
        if "\t" in spaces and self.peek(length) not in "\0\r\n\x85\u2028\u2029":
            self.forward(length)
            return [spaces]  # inside a text: part of it
        return super().scan_plain_spaces(indent, start_mark)

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if not isinstance(event, yaml.AliasEvent) and event.anchor is not None:
            self.anchors.pop(event.anchor, None)  # an anchor may be redefined, which PyYAML would refuse
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ComposerError(None, None, f"nested deeper than {MAX_DEPTH} levels", event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            for name, pattern in CORE_SCHEMA.items():
                if pattern.match(value):
                    return _STANDARD + name
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


@dataclass
class _Built:
    node: Node
    size: int  # nodes in it, aliases expanded
    depth: int


@dataclass
class _Builder:
    """PyYAML's graph to ours. An alias's node comes earlier in the file: it is built, or there is a cycle."""

    report: Report
    _built: dict[int, _Built | None] = field(default_factory=dict)  # by id; None while being built
    _merged: int = 0  # entries copied for merge keys, to bound the work

    def build(self, source: yaml.Node, location: Location) -> Node:
        return self._build(source, location).node

    def _build(self, source: yaml.Node, location: Location) -> _Built:
        if id(source) in self._built:
            known = self._built[id(source)]
            if known is None:
                raise self._fatal(location, "the alias here refers to what it is part of")
            return known
        self._built[id(source)] = None
        line = source.start_mark.line + 1
        if isinstance(source, yaml.MappingNode):
            built = self._mapping(source, location, line)
        elif isinstance(source, yaml.SequenceNode):
            built = self._sequence(source, location, line)
        else:
            assert isinstance(source, yaml.ScalarNode)
            built = _Built(self._scalar(source, location, line), 1, 1)
        if built.size > MAX_NODES:
            raise self._fatal(location, f"more than {MAX_NODES:,} values once aliases are expanded")
        if built.depth > MAX_DEPTH:
            raise self._fatal(location, f"nested deeper than {MAX_DEPTH} levels once aliases are expanded")
        self._built[id(source)] = built
        return built

    def _scalar(self, source: yaml.ScalarNode, location: Location, line: int) -> Scalar:
        tag = source.tag.removeprefix(_STANDARD)
        text = _paired(source.value)
        if _SURROGATE.search(text):
            location.error(_NO_CHARACTER)
        if tag in CORE_SCHEMA:
            if not CORE_SCHEMA[tag].match(source.value):
                location.error(f"{quoted(source.value)} is tagged !!{tag} but is not one")
        elif tag == "timestamp":
            tag = "str"
        elif tag != "str":
            self._unknown_tag(source, location)
            tag = "str"
        return Scalar(text, tag, source.style is None, line)

    def _sequence(self, source: yaml.SequenceNode, location: Location, line: int) -> _Built:
        if source.tag != _STANDARD + "seq":
            self._unknown_tag(source, location)
        parts = [
            self._build(item, location.child(i, item.start_mark.line + 1))
            for i, item in enumerate(source.value)
        ]
        return _Built(ListNode(tuple(part.node for part in parts), line), *_measure(parts))

    def _mapping(self, source: yaml.MappingNode, location: Location, line: int) -> _Built:
        if source.tag != _STANDARD + "map":
            self._unknown_tag(source, location)
        own: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        parts: list[_Built] = []
        merge_line = 0
        for key, value in source.value:
            key_line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                location.child("?", key_line).error(
                    "a key must be text, found a list or a mapping (text that begins with { needs quotes)"
                )
                continue
            name = _paired(key.value)
            here = location.child(name, key_line)
            if _SURROGATE.search(name):
                here.error(_NO_CHARACTER)
            part = self._build(value, here)
            parts.append(part)
            if name == "<<" and key.style is None:
                if merge_line:
                    here.error(f"the key is here already, on line {merge_line}")
                merge_line = key_line
                self._merge(merged, part.node, here)
            elif name in own:
                here.error(f"the key is here already, on line {own[name].line}")
            else:
                own[name] = Entry(part.node, key_line)
        # Keys of the mapping itself win over merged ones, wherever the merge key stands.
        return _Built(MapNode({**merged, **own}, line), *_measure(parts))

    def _merge(self, into: dict[str, Entry], node: Node, location: Location) -> None:
        """Add the entries of a ``<<`` value; of several mappings the first that has a key wins."""
        sources = node.items if isinstance(node, ListNode) else (node,)
        for each in sources:
            if not isinstance(each, MapNode):
                location.error(
                    f"expected a mapping, or a list of them, to merge; found {describe_node(each)}"
                )
                continue
            self._merged += len(each.entries) + 1
            if self._merged > MAX_NODES:
                raise self._fatal(location, f"more than {MAX_NODES:,} merged keys")
            for key, entry in each.entries.items():
                into.setdefault(key, entry)

    def _unknown_tag(self, source: yaml.Node, location: Location) -> None:
        # What stands there is not shown: it may be a secret that begins with an exclamation mark.
        location.error("a YAML tag (!...) means nothing here; quote a value that begins like one")

    def _fatal(self, location: Location, message: str) -> ConfigError:
        location.error(message)
        return self.report.errors.pop()


def _paired(text: str) -> str:
    """The text with surrogate pairs (JSON's way to write characters beyond U+FFFF) joined."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _measure(parts: list[_Built]) -> tuple[int, int]:
    """Size and depth of a node around ``parts``."""
    return 1 + sum(part.size for part in parts), 1 + max((part.depth for part in parts), default=0)


# PyYAML's messages for common slips, and plainer ones.
_HINTS = (
    ("found character '\\t'", "a tab where YAML allows only spaces"),
    ("mapping values are not allowed here", "a key is not expected here: is the line above indented alike, "
     "or does a value hold ': ' and need quotes?"),
    ("found character '", "a value that begins with % @ or ` needs quotes"),
    ("expected alphabetic or numeric character", "a value that begins with * or & needs quotes: "
     'cron: "* * * * *"'),
    ("found undefined alias", "a value that begins with * refers to an anchor (&name), and there is none "
     "of this name above: does it need quotes?"),
    ("could not find expected ':'", "a key without ':' after it"),
    ("expected <block end>", "this line fits neither the lines above it nor the value before it: look at its "
     "indentation, and put values that begin with [ { * & ! or a quote into quotes as a whole"),
    ("expected ',' or ']'", "a list in [ ] is not closed, or lacks a comma"),
    ("expected ',' or '}'", "a mapping in { } is not closed, or lacks a comma"),
    ("found unexpected end of stream", "the file ends inside a quoted text"),
    ("expected '<document start>'", "the file is one mapping of keys, such as `listen:` and `actions:`, and "
     "here something else begins"),
    ("but found another document", "a second document begins here ('---'): one file holds one"),
)  # fmt: skip


def _in_plain_words(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem)
    words = next((hint for fragment, hint in _HINTS if fragment in problem), problem)
    if error.context_mark is not None and error.problem_mark is not None and "document" not in problem:
        opened = error.context_mark.line + 1
        if opened != error.problem_mark.line + 1:
            words += f" (it began on line {opened})"
    return words
