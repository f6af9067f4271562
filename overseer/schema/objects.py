"""Objects: reading and writing declared classes, and the field types made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from overseer.schema.fields import Declared, Field, description_of, fields_of
from overseer.schema.limits import MAX_NAME, MessageLimits
from overseer.schema.location import Location, quoted
from overseer.schema.nodes import Entry, ListNode, MapNode, Node, Scalar, unexpected
from overseer.schema.types import FieldType, Json, Unreadable
from overseer.util.suggest import nearest

_FEW_KEYS = 12  # that an error may list
OWN_PREFIX = "x-"  # keys of the file that begin so are the user's, for anchors and notes


@cache
def _reader(cls: type[Declared]) -> tuple[tuple[Any, ...], ...]:
    """What :func:`read_fields` needs to know of each field, looked up once."""
    return tuple(
        (s.attribute, s.name, s.synonym, s.type.from_json, s.type.is_text, s.required, s.type.expected)
        for s in fields_of(cls)
    )


def read_fields(
    cls: type[Declared], raw: Mapping[str, Any], where: str, limits: MessageLimits
) -> dict[str, Any]:
    """The constructor's arguments for what ``raw`` (a decoded JSON object) gives; unknown keys are ignored.

    ``where`` goes in front of a field's name in errors. Raises Unreadable.
    """
    given = {}
    for attribute, name, synonym, read, is_text, required, expected in _reader(cls):
        value = raw.get(name)
        if value is None and synonym:
            value = raw.get(synonym)
            if value is not None:
                name = synonym
        if value is None or (value == "" and is_text):
            if required:
                raise Unreadable(f"{where}{name} is required ({expected})")
            continue
        given[attribute] = read(value, where + name, limits)
    return given


@cache
def _loader(cls: type[Declared]) -> Callable[[Mapping[str, Any]], Any]:
    """A function from the JSON object that :func:`_writer` made back to the instance."""
    plan = [
        (s.attribute, s.name, s.type.load if s.type.converts else None, s.required) for s in fields_of(cls)
    ]

    def load(raw: Mapping[str, Any]) -> Any:
        given = {}
        for attribute, name, convert, required in plan:
            value = raw.get(name)
            if value is not None:
                given[attribute] = value if convert is None else convert(value)
            elif required:
                raise ValueError(f"{name} is missing")
        return cls(**given)

    return load


def from_plain(cls: type[Declared], raw: Mapping[str, Any]) -> Any:
    """The instance whose :func:`to_plain` is ``raw``; unknown keys are ignored, words and bounds not checked.

    Raises Unreadable where a field is missing or of another shape.
    """
    try:
        return _loader(cls)(raw)
    except (ValueError, TypeError, AttributeError) as error:
        raise Unreadable(f"{getattr(cls, 'type', cls.__name__)}: {error}") from None


@cache
def _writer(cls: type[Declared]) -> Callable[[Any], Json]:
    """A function from an instance to its JSON object.

    It is compiled, a statement for each field: most fields of a message are left out, which a loop would take
    twice as long to find out.
    """
    message_type = getattr(cls, "type", None)
    head = f"'type': {message_type!r}" if isinstance(message_type, str) else ""
    lines = ["def write(instance):", f" result = {{{head}}}"]
    names: dict[str, Any] = {}
    for number, spec in enumerate(fields_of(cls)):
        converted = "value"
        if spec.type.converts:
            names[f"convert{number}"] = spec.type.to_json
            converted = f"None if value is None else convert{number}(value)"
        said = ""
        if spec.omit and spec.default:
            names[f"default{number}"] = spec.default
            said = f"if value and value != default{number}: "
        elif spec.omit:
            said = "if value is not None: " if spec.default is None else "if value: "
        lines.append(f" value = instance.{spec.attribute}")
        lines.append(f" {said}result[{spec.name!r}] = {converted}")
    exec("\n".join([*lines, " return result"]), names)  # nothing but the names of declared fields
    write: Callable[[Any], Json] = names["write"]
    return write


def to_plain(instance: Declared) -> Json:
    """The JSON object of a declared value or message, as plain dicts, lists, texts and numbers."""
    return _writer(type(instance))(instance)


def object_schema(cls: type[Declared], *, sent: bool = False) -> Json:
    """The JSON Schema of a message or value.

    ``sent`` by a client: what it must give is required, and one of the class's ``either``; else whatever is
    always there.
    """
    properties: Json = {}
    required = []
    if isinstance(name := getattr(cls, "type", None), str):
        properties["type"] = {"const": name}
        required.append("type")
    for spec in fields_of(cls):
        properties[spec.name] = _field_schema(spec)
        if spec.synonym and sent:
            properties[spec.synonym] = _field_schema(spec)
        if spec.required if sent else not spec.omit:
            required.append(spec.name)
    schema: Json = {"type": "object", "description": description_of(cls), "properties": properties}
    if required:
        schema["required"] = required
    if sent and (either := getattr(cls, "either", ())):
        schema["anyOf"] = [{"required": [name]} for name in either]
    return schema


def _field_schema(spec: Field) -> Json:
    schema = spec.type.json_schema()
    if "$ref" in schema:  # next to which anything else is ignored
        schema = {"allOf": [schema]}
    if not spec.required and not spec.omit and spec.default is None:
        schema = {"oneOf": [schema, {"type": "null"}]}
    if spec.plain_default is not None and not spec.omit:
        schema["default"] = spec.plain_default
    return schema | {"description": spec.doc}


def or_null(schema: Json) -> Json:
    """A schema of the file that takes null as well."""
    if "anyOf" in schema:
        return schema | {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    schema = schema | {"type": [*types, "null"]}
    return schema | {"enum": [*schema["enum"], None]} if "enum" in schema else schema


class _Mapping(FieldType):
    name = "object"
    label = "mapping"
    expected = "an object"
    converts = True


class Object(_Mapping):
    """An instance of a declared class; in the file, a mapping with its fields as keys.

    Args:
        finish: turns an instance read from the file into the final value, and may note errors and warnings
            about keys that do not go together.
        advice: ends a warning about an unknown key that resembles no known one; the default lists those.
        strict: whether an unknown key is an error, since a slip there would leave the server open.
        hint: says what an unknown key, by its name, means or where it belongs; "": nothing is known of it.
        short: the key that a text in place of the mapping stands for.
    """

    def __init__(
        self,
        cls: type[Declared],
        finish: Callable[[Any, Location], Any] = lambda read, _: read,
        *,
        advice: str = "",
        strict: bool = False,
        hint: Callable[[str], str] = lambda name: "",
        short: str = "",
    ) -> None:
        self.cls = cls
        self.strict = strict
        self._hint = hint
        self._finish = finish
        self._short = short
        self._fields = {spec.name: spec for spec in fields_of(cls)}
        self._advice = advice or f"; known here: {', '.join(self._fields)}"
        few = len(self._fields) <= _FEW_KEYS
        self._few_keys = f"; its keys: {', '.join(self._fields)}" if few else ""
        self.demanding = any(spec.missing for spec in self._fields.values())  # needs some keys

    def from_json(self, value: Any, where: str, limits: MessageLimits) -> Any:
        if not isinstance(value, dict):
            raise self.wrong(value, where)
        return self.cls(**read_fields(self.cls, value, f"{where}.", limits))

    def to_json(self, value: Any) -> Any:
        return _writer(self.cls)(value)

    def load(self, value: Any) -> Any:
        return _loader(self.cls)(value)

    def from_yaml(self, node: Node, location: Location, **given: Any) -> Any:
        """An instance, finished; ``given`` are its attributes that are not keys."""
        if self._short and isinstance(node, Scalar):
            node = MapNode({self._short: Entry(node, node.line)}, node.line)
        if not isinstance(node, MapNode):
            raise unexpected(node, "a mapping", self._few_keys)
        for name, entry in node.entries.items():
            here = location.child(name, entry.line)
            spec = self._fields.get(name)
            if spec is None:
                self._unknown(name, entry.node, here)
            elif not (isinstance(entry.node, Scalar) and entry.node.tag == "null"):
                try:
                    given[spec.attribute] = spec.type.from_yaml(entry.node, here)
                except ValueError as error:
                    here.error(str(error))
                    given.setdefault(spec.attribute, spec.default)
        for name, spec in self._fields.items():
            if spec.missing and not given.get(spec.attribute) and not location.has_error(name):
                location.error(f"{name} is missing: {spec.missing}")
        return self._finish(self.cls(**given), location)

    def _unknown(self, name: str, node: Node, location: Location) -> None:
        if name.startswith(OWN_PREFIX):
            return
        hint = self._hint(name)
        guess = "" if hint else nearest(name, self._fields)
        advice = f"; {hint}" if hint else self._advice
        message = f"unknown key; did you mean {guess}?" if guess else f"unknown key{advice}"
        meant = self._fields[guess].type if guess else None
        if self.strict or (isinstance(meant, Object) and meant.strict and isinstance(node, MapNode)):
            location.error(message)
        else:
            location.unknown(message)

    def shown(self, value: Any) -> str:
        return ""

    def manifest(self) -> Json:
        return {"$ref": f"#/types/{self.cls.__name__}"}

    def json_schema(self) -> Json:
        return {"$ref": f"#/components/schemas/{self.cls.__name__}"}

    def yaml_schema(self) -> Json:
        properties = {}
        for name, spec in self._fields.items():
            schema = spec.type.yaml_schema()
            properties[name] = {"description": spec.doc} | (schema if spec.missing else or_null(schema))
        schema = {
            "type": "object",
            "properties": properties,
            "patternProperties": {f"^{OWN_PREFIX}": True},
            "additionalProperties": False,
        }
        if self.demanding:
            schema["required"] = [name for name, spec in self._fields.items() if spec.missing]
        return {"anyOf": [schema, self._fields[self._short].type.yaml_schema()]} if self._short else schema


class PartOf(Object):
    """Some fields of a declared class: attribute names to values, ready for :func:`dataclasses.replace`."""

    def from_json(self, value: Any, where: str, limits: MessageLimits) -> Json:
        if not isinstance(value, dict):
            raise self.wrong(value, where)
        return read_fields(self.cls, value, f"{where}.", limits)

    def to_json(self, value: Mapping[str, Any]) -> Json:
        whole = _writer(self.cls)(self.cls(**value))
        return {spec.name: whole[spec.name] for spec in fields_of(self.cls) if spec.attribute in value}

    def json_schema(self) -> Json:
        schema = object_schema(self.cls)
        schema.pop("required", None)
        return schema


class ListOf(FieldType):
    """A list whose items are all of one type; in messages only ever written.

    ``single``: the file may have one item in place of the list.
    """

    name = "array"
    expected = "an array"
    converts = True

    def __init__(self, item: FieldType, *, single: bool = False, label: str = "") -> None:
        self.item = item
        self.label = label or f"list of {item.label}{'' if item.label == 'text' else 's'}"
        self._single = single

    def to_json(self, value: Any) -> list[Any]:
        return [self.item.to_json(item) for item in value] if self.item.converts else list(value)

    def load(self, value: Any) -> tuple[Any, ...]:
        return tuple(map(self.item.load, value))

    def from_yaml(self, node: Node, location: Location) -> tuple[Any, ...]:
        if isinstance(node, ListNode):
            return tuple(self.item.items_from_yaml(node, location))
        if self._single:
            return (self.item.from_yaml(node, location),)
        raise unexpected(node, f"a {self.label}", "; a list is written [a, b]")

    def manifest(self) -> Json:
        return {"type": "array", "items": self.item.manifest()}

    def json_schema(self) -> Json:
        return {"type": "array", "items": self.item.json_schema()}

    def yaml_schema(self) -> Json:
        item = self.item.yaml_schema()
        if self._single:
            return {"anyOf": [item, {"type": "array", "items": item}]}
        # For a string, null is an empty one.
        return {"type": "array", "items": item if isinstance(self.item, Object) else or_null(item)}


class MapOf(_Mapping):
    """Names to values of one type; in messages only ever written.

    Args:
        what: what an error about the file calls it.
        named: whether the names are the server's own, which clients must be able to write; each value is then
            given its name.
        is_null: which values are null in messages.
    """

    def __init__(
        self,
        item: FieldType,
        *,
        what: str = "a mapping of names",
        named: bool = False,
        is_null: Callable[[Any], bool] = lambda _: False,
    ) -> None:
        self.item = item
        self._what = what
        self._named = named
        self._is_null = is_null

    def to_json(self, value: Mapping[str, Any]) -> Json:
        return {
            name: None if self._is_null(item) else self.item.to_json(item) for name, item in value.items()
        }

    def load(self, value: Any) -> Json:
        return {name: None if item is None else self.item.load(item) for name, item in value.items()}

    def from_yaml(self, node: Node, location: Location) -> Json:
        if not isinstance(node, MapNode):
            hint = "; names are keys, as in NAME: …" if isinstance(node, ListNode) else ""
            raise unexpected(node, self._what, hint)
        found: Json = {}
        for name, entry in node.entries.items():
            here = location.child(name, entry.line)
            if self._named and (wrong := _name_fault(name)):
                here.error(wrong)
                continue
            value = entry.node
            if isinstance(self.item, Object) and isinstance(value, Scalar) and value.tag == "null":
                value = MapNode({}, entry.line)  # whose reader reports what is missing
            try:
                given = {"name": name} if self._named else {}
                found[name] = self.item.from_yaml(value, here, **given)
            except ValueError as error:
                here.error(str(error))
        return found

    def manifest(self) -> Json:
        return {"type": "map", "value_type": self.item.manifest()}

    def json_schema(self) -> Json:
        return {
            "type": "object",
            "additionalProperties": {"oneOf": [self.item.json_schema(), {"type": "null"}]},
        }

    def yaml_schema(self) -> Json:
        schema = self.item.yaml_schema()
        if isinstance(self.item, Object) and not self.item.demanding:
            schema = or_null(schema)
        whole: Json = {"type": "object", "additionalProperties": schema}
        if self._named:
            whole["propertyNames"] = {"maxLength": MAX_NAME, "pattern": r"\S"}
        return whole


def _name_fault(name: str) -> str:
    if not name.strip():
        return "a name cannot be empty"
    if not name.isprintable():
        return f"{quoted(name)} contains an unprintable character"
    if len(name) > MAX_NAME:
        return f"a name is at most {MAX_NAME} characters long"
    return ""
