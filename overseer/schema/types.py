"""Types of fields: how a value is read from a message and from the file, written, and documented.

A type is stateless. ``from_json`` takes a decoded JSON value and raises :class:`Unreadable` with a sentence
that names the field; ``from_yaml`` takes a node of the file and raises ValueError with a sentence about what
was found, since the caller knows the location. A type used only in messages, or only in the file,
has only that half.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from overseer.schema.foreign_words import ours
from overseer.schema.limits import MAX_NAME, MessageLimits
from overseer.schema.location import Location, quoted
from overseer.schema.nodes import ListNode, MapNode, Node, Scalar, describe_node, to_value, unexpected
from overseer.util.suggest import did_you_mean

Json = dict[str, Any]

_TEXT: Json = {"type": ["string", "number", "boolean"]}  # the file's scalars are taken as they are written

# What YAML 1.1 takes for booleans; so does Go's YAML where one is expected.
BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "y"), True),
    **dict.fromkeys(("false", "no", "off", "n"), False),
}
_FLAGS = list(dict.fromkeys(form for word in BOOLEANS for form in (word, word.capitalize(), word.upper())))


_NAMED_SIGNALS = frozenset(map(int, signal.Signals))


class Unreadable(Exception):
    """An invalid value in a message; the text names the field and what was expected."""


class FieldType:
    """Base of all types.

    ``name`` is the type in the manifest and in forms, ``label`` in the tables about the file; ``expected`` is
    how an error about a message describes it. ``is_text`` says that JSON holds a string (``""`` then counts
    as absent in an optional field), ``converts`` that ``to_json`` does something.
    """

    name = "string"
    label = "text"
    expected = "a string"
    is_text = False
    converts = False

    def from_json(self, value: Any, where: str, limits: MessageLimits) -> Any:
        """The value that a client sent.

        Raises:
            Unreadable: the field ``where`` does not take it.
        """
        raise NotImplementedError

    def to_json(self, value: Any) -> Any:
        return value

    def load(self, value: Any) -> Any:
        """What :meth:`to_json` was given; ValueError or TypeError when ``value`` does not come from it.

        For clients, reading what a server wrote: it may come from a later version, and has no bounds.
        """
        return value

    def from_yaml(self, node: Node, location: Location) -> Any:
        """The value that the file holds; a null never gets here, since it counts as an absent key.

        A type that holds others notes their errors itself, item by item, and returns what is usable.

        Raises:
            ValueError: it is not of this type; the text says what was expected and what was found.
        """
        raise NotImplementedError

    def shown(self, value: Any) -> str:
        """A default in Markdown, as one would write it in the file; ``""`` for none."""
        return "" if value in ("", None, (), {}) else f"`{value}`"

    def manifest(self) -> Json:
        """The type as the manifest describes it: ``{"type": ...}`` or ``{"$ref": ...}``."""
        return {"type": self.name}

    def json_schema(self) -> Json:
        """The JSON Schema of what messages hold."""
        return {"type": self.name}

    def yaml_schema(self) -> Json:
        """The JSON Schema of what the file may hold; it has ``type`` or ``anyOf``."""
        return dict(_TEXT)

    def wrong(self, value: object, where: str) -> Unreadable:
        return Unreadable(f"{where} must be {self.expected}, not {_json_type(value)}")

    def scalar(self, node: Node, expected: str) -> Scalar:
        if not isinstance(node, Scalar):
            raise unexpected(node, expected)
        return node

    def items_from_yaml(self, node: ListNode, location: Location) -> Iterator[Any]:
        """The items of a list, read as this type; what is wrong with one is reported at its own line."""
        for number, item in enumerate(node.items):
            here = location.child(number, item.line)
            try:
                yield self.from_yaml(item, here)
            except ValueError as error:
                here.error(str(error))


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


class Text(FieldType):
    """Any text that can be written as UTF-8; in the file, whatever the scalar looks like.

    ``check`` raises ValueError for strings in the file that are not acceptable.
    """

    is_text = True

    def __init__(self, label: str = "text", check: Callable[[str], object] | None = None) -> None:
        self.label = label
        self._check = check

    def from_json(self, value: Any, where: str, limits: MessageLimits) -> str:
        if not isinstance(value, str):
            raise self.wrong(value, where)
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Unreadable(
                    f"{where} holds half of a surrogate pair, which is not a character"
                ) from None
        return value

    def from_yaml(self, node: Node, location: Location) -> str:
        text = self.scalar(node, "text").text
        if "\0" in text:
            raise ValueError("text here cannot hold a NUL character")
        if self._check is not None and text:
            self._check(text)
        return text


class Name(Text):
    """A text in a message, short and printable enough to be shown, logged and used as a key."""

    expected = f"a non-empty string of at most {MAX_NAME} printable characters"

    def __init__(self, name: str = "string") -> None:
        super().__init__()
        self.name = name

    def from_json(self, value: Any, where: str, limits: MessageLimits) -> str:
        text = super().from_json(value, where, limits)
        if not text:
            raise Unreadable(f"{where} must be {self.expected}")
        if len(text) > MAX_NAME:
            raise Unreadable(f"{where} has {len(text)} characters; at most {MAX_NAME} are allowed")
        if not text.isprintable():
            raise Unreadable(f"{where} holds characters that cannot be printed")
        return text

    def json_schema(self) -> Json:
        return {"type": "string", "minLength": 1, "maxLength": MAX_NAME}


class Choice(FieldType):
    """One of a few words, which the manifest lists as a type of its own when ``ref`` names one.

    With ``booleans`` a boolean of the file stands for the word ``true`` or ``false``.
    """

    is_text = True

    def __init__(self, *words: str, ref: str = "", description: str = "", booleans: bool = False) -> None:
        self.words = words
        self.ref = ref
        self.description = description
        self.booleans = booleans
        self.expected = " or ".join(quoted(word) for word in words)
        self.label = ", ".join(f"`{word}`" for word in words)

    def from_json(self, value: Any, where: str, limits: MessageLimits) -> str:
        if not isinstance(value, str):
            raise self.wrong(value, where)
        if value not in self.words:
            raise Unreadable(f"{where} must be {self.expected}, not {quoted(value)}")
        return value

    def from_yaml(self, node: Node, location: Location) -> str:
        expected = ", ".join(self.words[:-1]) + " or " + self.words[-1]
        text = self.scalar(node, expected).text
        if text in self.words:
            return text
        if self.booleans and text.lower() in BOOLEANS:
            return "true" if BOOLEANS[text.lower()] else "false"
        raise unexpected(node, expected, ours(text, self.words) or did_you_mean(text, self.words))

    def manifest(self) -> Json:
        return {"$ref": f"#/types/{self.ref}"} if self.ref else {"type": "enum", "values": list(self.words)}

    def json_schema(self) -> Json:
        return {"type": "string", "enum": list(self.words)}

    def yaml_schema(self) -> Json:
        if not self.booleans:
            return self.json_schema()
        return {"type": ["string", "boolean"], "enum": [*dict.fromkeys((*self.words, *_FLAGS)), True, False]}


class Boolean(FieldType):
    name = "boolean"
    label = "boolean"
    expected = "true or false"

    def from_json(self, value: Any, where: str, limits: MessageLimits) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(value, where)
        return value

    def from_yaml(self, node: Node, location: Location) -> bool:
        scalar = self.scalar(node, "true or false")
        word = scalar.text.lower()
        if not scalar.plain or word not in BOOLEANS:
            hint = " (leave out the quotes)" if word in BOOLEANS else ""
            raise unexpected(node, "true or false", hint)
        return BOOLEANS[word]

    def shown(self, value: Any) -> str:
        return "`true`" if value else "`false`"

    def yaml_schema(self) -> Json:
        # The words are booleans in YAML 1.1 and texts in 1.2: editors read either.
        return {"type": ["boolean", "string"], "enum": [True, False, *_FLAGS]}


class Signal(FieldType):
    """A signal by name, with or without ``SIG``, or by number; the value is the full name.

    In messages also one without a name (a real-time signal): the value is its number in digits.
    """

    label = "signal"
    expected = "the name or number of a signal, such as SIGHUP"
    is_text = True

    def from_json(self, value: Any, where: str, limits: MessageLimits) -> str:
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise self.wrong(value, where)
        text = str(value)[:20].upper()
        if not (text.isascii() and text.isdigit()):
            text = f"SIG{text.removeprefix('SIG')}"
            if text in signal.Signals.__members__:
                return signal.Signals[text].name
        elif (number := int(text)) in signal.valid_signals():
            return signal.Signals(number).name if number in _NAMED_SIGNALS else str(number)
        raise Unreadable(f"{where} must be {self.expected}, not {quoted(str(value)[:60])}")

    def json_schema(self) -> Json:
        return {"type": ["string", "integer"], "examples": ["SIGHUP", 1]}

    def from_yaml(self, node: Node, location: Location) -> str:
        name = self.scalar(node, "the name of a signal").text.upper().removeprefix("SIG")
        try:
            if name.isascii() and name.isdigit():
                return signal.Signals(int(name[:5])).name
            return signal.Signals[f"SIG{name}"].name
        except (KeyError, ValueError):
            names = [each.name.removeprefix("SIG") for each in signal.Signals]
            hint = did_you_mean(name, names, prefix="SIG") or ", such as SIGTERM"
            raise unexpected(node, "the name of a signal", hint) from None

    def yaml_schema(self) -> Json:
        names = [each.name for each in signal.Signals]
        short = [name.removeprefix("SIG") for name in names]
        spelled = [form for name in (*names, *short) for form in (name, name.lower())]
        return {"type": ["string", "integer"], "enum": [*spelled, *map(int, signal.Signals)]}


class TextList(FieldType):
    """A list of strings, or a single one, which with ``commas`` may hold several. ``check`` is given each."""

    def __init__(
        self, label: str = "list of text", check: Callable[[str], object] | None = None, *, commas: bool
    ) -> None:
        self.label = label
        self._check = check
        self._commas = commas

    def from_yaml(self, node: Node, location: Location) -> tuple[str, ...]:
        if isinstance(node, Scalar):
            texts = node.text.split(",") if self._commas else [node.text]
            return tuple(text for each in texts if (text := each.strip()) and self._passes(text, location))
        if not isinstance(node, ListNode):
            raise unexpected(node, self.label)
        found: list[str] = []
        for number, item in enumerate(node.items):
            here = location.child(number, item.line)
            if not isinstance(item, Scalar) or item.tag == "null":
                here.error(f"expected text, found {describe_node(item)}")
            elif not item.text.strip():
                here.error("expected text, found empty text")
            elif self._passes(item.text, here):
                found.append(item.text)
        return tuple(found)

    def _passes(self, text: str, location: Location) -> bool:
        try:
            if self._check is not None:
                self._check(text)
        except ValueError as error:
            location.error(str(error))
            return False
        return True

    def yaml_schema(self) -> Json:
        return {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}


class TextMap(FieldType):
    """Names to strings: the parameters of a task. A null value counts as a parameter not given."""

    name = "object"
    expected = "an object of strings"
    converts = True

    def from_json(self, value: Any, where: str, limits: MessageLimits) -> dict[str, str]:
        if not isinstance(value, dict):
            raise self.wrong(value, where)
        if len(value) > limits.params:
            raise Unreadable(f"{where} holds {len(value)} entries; at most {limits.params} are allowed")
        result = {}
        size = 0
        for key, text in value.items():
            if len(key) > MAX_NAME:
                raise Unreadable(f"{where}: the name {quoted(key)} is longer than {MAX_NAME} characters")
            if key.isidentifier():
                place = f"{where}.{key}"
            else:
                TEXT.from_json(key, f"{where}: the name {quoted(key)}", limits)
                place = f"{where}[{quoted(key)}]"
            if text is None:
                continue
            result[key] = TEXT.from_json(text, place, limits)
            if len(text) > limits.param_value:
                raise Unreadable(
                    f"{place} has {len(text)} characters; at most {limits.param_value} are allowed"
                )
            size += len(key) + len(text)
        if size > limits.params_size:
            raise Unreadable(f"{where} has {size} characters; at most {limits.params_size} are allowed")
        return result

    def to_json(self, value: Mapping[str, str]) -> dict[str, str]:
        return dict(value)

    def manifest(self) -> Json:
        return {"type": "map", "value_type": TEXT.manifest()}

    def json_schema(self) -> Json:
        return {"type": "object", "additionalProperties": TEXT.json_schema()}


class Document(FieldType):
    """Any object: in a message a finished document, in the file a mapping that other code reads.

    Scalars of the file keep their text, see ``config_text``.
    """

    name = "object"
    label = "mapping"

    def from_yaml(self, node: Node, location: Location) -> Json:
        if not isinstance(node, MapNode):
            raise unexpected(node, "a mapping")
        value: Json = to_value(node)
        return value

    def shown(self, value: Any) -> str:
        return "`{}`"

    def yaml_schema(self) -> Json:
        return {"type": "object"}


TEXT = Text()
TEXT_MAP = TextMap()
BOOLEAN = Boolean()
SIGNAL = Signal()
DOCUMENT = Document()
REQUEST_ID = Name()
ACTION = Name()
TASK_ID = Name("uuid")  # what a server makes up is a UUID; generic clients ask for this type in their forms
