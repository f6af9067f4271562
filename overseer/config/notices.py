"""``channels`` and ``notify``: who is notified of what happens to tasks, and how."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as plain_field
from urllib.parse import SplitResult, urlsplit

from overseer.config.exec import SecretName, TemplateText, check_names
from overseer.config.key_hints import hints_at
from overseer.config.references import check_reference, check_secret
from overseer.schema.fields import declared, field
from overseer.schema.location import Location, check_alternatives, quoted
from overseer.schema.nodes import MapNode, Node
from overseer.schema.objects import ListOf, MapOf, Object
from overseer.schema.quantities import Age
from overseer.schema.types import Choice, FieldType, Json, Text, TextList
from overseer.templates import Template

EVENTS = ("failure", "recovery", "errored", "unhealthy", "missed", "success")
"""What a rule can be about."""

NAMES = (
    "id", "event", "message", "task_id", "action", "run_id", "reason", "exit_code", "signal", "params",
    "trigger", "ts", "since", "count", "reminder", "server",
)  # fmt: skip
"""What the template of a body may look up."""

SIGNED = "whsec_"
"""The prefix of a key in base64, as in Standard Webhooks."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = ("host", "content-length", "transfer-encoding", "connection", "webhook-id", "webhook-timestamp")
_OWN = (*_OURS, "webhook-signature")


@dataclass(frozen=True, slots=True)
class Confidential:
    """A string that nobody is shown: written in the file, or one of the ``secrets``, by its name."""

    text: str = plain_field(default="", repr=False)
    secret: str = ""


class ConfidentialText(FieldType):
    """A text, or ``{secret: NAME}``; the value is a :class:`Confidential`."""

    label = "text, or `{secret: NAME}`"
    _name = Object(SecretName, lambda read, _: Confidential(secret=read.secret), strict=True)

    def from_yaml(self, node: Node, location: Location) -> Confidential:
        if isinstance(node, MapNode):
            named: Confidential = self._name.from_yaml(node, location)
            return named
        text = self.scalar(node, "text").text
        if not text:
            raise ValueError("an empty text is not a secret")
        if not text.isprintable():
            raise ValueError("it contains unprintable characters")
        return Confidential(text)

    def yaml_schema(self) -> Json:
        return {"anyOf": [super().yaml_schema(), self._name.yaml_schema()]}


_EVENT = Choice(*EVENTS)


def split_url(text: str) -> SplitResult:
    """The parts of the address of a webhook.

    Raises:
        ValueError: it is malformed.
    """
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise ValueError(f"not an address: {error}") from None
    if url.scheme not in ("http", "https") or not url.hostname or port == 0:
        raise ValueError("expected an address such as https://example.org/hooks/1")
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("an address has printable ASCII characters and no spaces; write others as %XX")
    if url.username is not None:
        raise ValueError("put user and password into headers, as Authorization")
    return url


@declared()
class ChannelConfig:
    """One of ``channels``: a webhook or a program."""

    name: str
    webhook: str = field(
        Text("URL", split_url), "An address that notices are posted to, as JSON.", default=""
    )
    secret: Confidential | None = field(
        ConfidentialText(),
        "The key that they are signed with, by Standard Webhooks; `whsec_…` is in base64.",
        default=None,
    )
    headers: Mapping[str, Confidential] = field(
        MapOf(ConfidentialText(), what="a mapping of headers"),
        "Additional headers, such as `Authorization`.",
        default=dict,
    )
    body: Template | None = field(
        TemplateText(),
        "In place of the usual JSON; a template, into which values are put as they stand between quotes in "
        "JSON.",
        default=None,
    )
    exec: tuple[str, ...] = field(
        ListOf(Text()),
        "A program with its arguments, which gets the notice as JSON on stdin and in variables. It has 30 "
        "seconds.",
        default=(),
    )


def _channel(read: ChannelConfig, location: Location) -> ChannelConfig:
    none = "webhook or exec is missing: say how notices are delivered"
    check_alternatives(read, ("webhook", "exec"), location, none)
    if read.exec and not read.exec[0]:
        location.at("exec").error("needs the program to run")
    for key in ("secret", "headers", "body"):
        if read.exec and getattr(read, key):
            location.at(key).error("needs a webhook")
    for name in read.headers:
        here = location.at("headers", name)
        if not _TOKEN.fullmatch(name):
            here.error(f"{quoted(name)} is not a valid name for a header")
        elif name.lower() in _OWN:
            here.error("the server sets this header itself")
    check_key(read.secret, location)
    if read.body is not None:
        check_names(read.body, NAMES, location.at("body"))
    return read


CHANNEL = Object(ChannelConfig, _channel, strict=True, hint=hints_at("channel", ChannelConfig))


def key_of(secret: str) -> bytes:
    """The bytes of a key.

    Raises:
        ValueError: it has the prefix of one in base64, and is not.
    """
    if not secret.startswith(SIGNED):
        return secret.encode("utf-8", "surrogateescape")
    encoded = secret.removeprefix(SIGNED).rstrip("=")
    try:
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError(f"what follows {SIGNED} must be base64")
    return key


def check_key(secret: Confidential | None, location: Location) -> None:
    """Report a key that claims to be in base64 and is not."""
    try:
        key_of(secret.text if secret is not None else "")
    except ValueError as error:
        location.at("secret").error(str(error))


@declared(kw_only=True)
class NotifyConfig:
    """One of ``notify``: a rule."""

    on: tuple[str, ...] = field(
        ListOf(_EVENT, single=True, label=f"list of {_EVENT.label}"),
        "What it notifies of; see [NOTICES.md](NOTICES.md).",
        missing="say what it notifies of: failure",
    )
    actions: tuple[str, ...] = field(
        TextList(commas=False),
        "Only tasks of these actions, with `*` and `?` as in file names.",
        default=(),
        default_text="all",
    )
    tasks: tuple[str, ...] = field(
        TextList(commas=False),
        "Only tasks with these ids, with `*` and `?`.",
        default=(),
        default_text="all",
    )
    to: tuple[str, ...] = field(
        TextList(commas=False), "The channels that are notified.", missing="name one of `channels`"
    )
    repeat: float = field(
        Age(),
        "How often a notice is sent again while what it reports is not over.",
        default=0.0,
        default_text="never",
    )


def _rule(read: NotifyConfig, location: Location) -> NotifyConfig:
    told = [each for each in read.on if each not in ("recovery", "success")]
    if "recovery" in read.on and not told:
        location.at("on").warn(
            "a recovery is reported only by a rule that has reported what came before: add failure"
        )
    if read.repeat and not told and read.on:
        location.at("repeat").warn("nothing here is ever repeated")
    return replace(read, on=tuple(dict.fromkeys(read.on)))


NOTIFY = Object(NotifyConfig, _rule, strict=True, hint=hints_at("rule", NotifyConfig))


def check_notices(
    channels: Mapping[str, ChannelConfig],
    rules: Collection[NotifyConfig],
    secrets: Collection[str],
    location: Location,
) -> None:
    """Report each undefined name; ``location`` is the file's."""
    for name, channel in channels.items():
        here = location.at("channels", name)
        if channel.secret is not None:
            check_secret(channel.secret.secret, secrets, here.at("secret"))
        for header, value in channel.headers.items():
            check_secret(value.secret, secrets, here.at("headers", header))
    for number, rule in enumerate(rules):
        for channel_name in rule.to:
            check_reference(channel_name, "channel", channels, location.at("notify", number, "to"))
