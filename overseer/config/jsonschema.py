"""The JSON Schema of the configuration file, from the declarations that it is loaded by: for editors.

``sticky-overseer --schema`` prints it; ``python -m overseer.config.jsonschema docs/config.schema.json``
writes it. It knows what JSON Schema can say: which keys there are, what each may hold, what is missing. The
loader knows more (addresses, what else must be there, where quotes are wrong) and has the last word.

Every key may hold null, which counts as its absence. A text may be written as a number or boolean, since the
loader takes it as it stands.
"""

from __future__ import annotations

import json
import signal
import sys
from functools import singledispatch
from pathlib import Path
from typing import Any

from overseer.auth.principal import ROLES
from overseer.config import kinds, secrets, security
from overseer.config.model import ROOT
from overseer.config.schema import OWN_PREFIX, Key, Listed, Named, Section, keys_of

__all__ = ["config_schema", "schema_text"]

_Json = dict[str, Any]

_TEXT: _Json = {"type": ["string", "number", "boolean"]}
_FLAGS = list(
    dict.fromkeys(form for word in kinds.BOOLEANS for form in (word, word.capitalize(), word.upper()))
)
_NUMBER = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)"
_DURATION: _Json = {"type": "string", "pattern": rf"^\+?(0|({_NUMBER}(ns|us|µs|μs|ms|s|m|h))+)$"}
_SIZE = r"^[0-9]{1,15}(\.[0-9]{1,6})?\s*([kKmMgG][iI]?)?[bB]$"


def config_schema() -> _Json:
    """The schema (draft 7, which editors know) as plain JSON values."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "sticky-overseer's configuration",
        **_schema(ROOT),
        "type": ["object", "null"],  # an empty file is one of defaults
    }


def schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(config_schema(), indent=1, ensure_ascii=False) + "\n"


def _key(key: Key) -> _Json:
    schema = {"description": key.doc, **_schema(key.kind)}
    if key.required:
        return schema
    if "type" in schema:
        kinds_of = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema["type"] = [*kinds_of, "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    else:
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    return schema


@singledispatch
def _schema(kind: kinds.Kind) -> _Json:
    """What a kind reads; it has ``type`` or ``anyOf``."""
    raise TypeError(f"no JSON Schema is known of {kind!r}")


@_schema.register
def _(kind: Section) -> _Json:
    keys = list(keys_of(kind.section))
    schema: _Json = {
        "type": "object",
        "properties": {key.name: _key(key) for key in keys},
        "patternProperties": {f"^{OWN_PREFIX}": True},
        "additionalProperties": False,
    }
    if required := [key.name for key in keys if key.required]:
        schema["required"] = required
    return schema


@_schema.register
def _(kind: Named) -> _Json:
    body = _schema(kind.section)
    return {
        "type": "object",
        "propertyNames": {"maxLength": 256, "pattern": r"\S"},
        "additionalProperties": body,
    }


@_schema.register
def _(kind: Listed) -> _Json:
    return {"type": "array", "items": _schema(kind.section)}


@_schema.register(kinds.Text)
@_schema.register(secrets.Secret)
@_schema.register(secrets.Sha256)
@_schema.register(security.FileMode)
def _(kind: kinds.Kind) -> _Json:
    return dict(_TEXT)


@_schema.register
def _(kind: kinds.TextList) -> _Json:
    return {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}


@_schema.register
def _(kind: kinds.Choice) -> _Json:
    if not kind.booleans:
        return {"type": "string", "enum": list(kind.words)}
    words = [*kind.words, *(form for form in _FLAGS if form not in kind.words)]
    return {"type": ["string", "boolean"], "enum": [*words, True, False]}


@_schema.register
def _(kind: kinds.Flag) -> _Json:
    # The words are booleans in YAML 1.1 and texts in 1.2: editors read either.
    return {"type": ["boolean", "string"], "enum": [True, False, *_FLAGS]}


@_schema.register
def _(kind: kinds.Whole) -> _Json:
    return {"type": "integer", "minimum": kind.at_least, "maximum": kind.at_most}


@_schema.register
def _(kind: kinds.Duration) -> _Json:
    return {"anyOf": [_DURATION, {"const": 0}]}


@_schema.register
def _(kind: kinds.Seconds) -> _Json:
    least = {"minimum": 0} if kind.zero else {"exclusiveMinimum": 0}
    return {"anyOf": [{"type": "number", **least}, _DURATION]}


@_schema.register
def _(kind: kinds.Size) -> _Json:
    return {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": _SIZE}]}


@_schema.register
def _(kind: kinds.Signal) -> _Json:
    names = [each.name for each in signal.Signals]
    short = [name.removeprefix("SIG") for name in names]
    spelled = [form for name in (*names, *short) for form in (name, name.lower())]
    return {"type": ["string", "integer"], "enum": [*spelled, *map(int, signal.Signals)]}


@_schema.register
def _(kind: kinds.Raw) -> _Json:
    return {"type": "object"}


@_schema.register
def _(kind: security.UserRoles) -> _Json:
    return {"type": "object", "additionalProperties": {"type": "string", "enum": list(ROLES)}}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(schema_text(), "utf-8")
