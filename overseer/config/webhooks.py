"""``webhooks``: requests of other services that start an action."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from overseer.cel import compile_cel
from overseer.cel.statictypes import DYN, STRING, map_of
from overseer.config.exec import Expression, TemplateText
from overseer.config.listen import Listen
from overseer.config.notices import Confidential, ConfidentialText, key_of
from overseer.schema.fields import field
from overseer.schema.location import Location, Path, quoted
from overseer.schema.nodes import Node
from overseer.schema.objects import MapOf, Object
from overseer.schema.types import BOOLEAN, TEXT, Choice
from overseer.templates import Template
from overseer.util.suggest import did_you_mean

if TYPE_CHECKING:
    from overseer.cel.program import Program  # not loaded until an expression is compiled

NAMES = ("body", "headers")
"""What conditions and templates may look up."""

_IN_CLEAR = ("", "token")  # schemes in which whoever listens in learns all that it takes
_NAME = re.compile(r"[A-Za-z0-9._~-]+")


def compile_when(text: str) -> Program:
    """The condition of a webhook. Raises CelError."""
    return compile_cel(text, variables={"body": DYN, "headers": map_of(STRING, STRING)})


class _Condition(Expression):
    """The value is the text, so that a reload can tell whether it has changed."""

    def __init__(self) -> None:
        super().__init__(compile_when)

    def from_yaml(self, node: Node, location: Location) -> str:
        condition = super().from_yaml(node, location)
        return condition.expression if condition else ""


@dataclass(frozen=True)
class WebhookConfig:
    """One of ``webhooks``: what a ``POST`` to ``/hooks/NAME`` starts."""

    name: str
    action: str = field(TEXT, "The action that is started.", missing="say which action is started")
    secret: Confidential | None = field(
        ConfidentialText(),
        "What the sender signs its requests with, or sends along; both sides know it.",
        default=None,
    )
    scheme: str = field(
        Choice("github", "gitlab", "standard", "token"),
        "How: as GitHub or GitLab do, as Standard Webhooks specifies (`whsec_…` is in base64), or with "
        "`Authorization: Bearer SECRET`.",
        default="",
    )
    insecure: bool = field(
        BOOLEAN,
        "Permits a webhook without a `secret`, or with `scheme: token`, at an address that other machines "
        "reach without TLS.",
        default=False,
    )
    when: str = field(
        _Condition(), "A condition on `body` and `headers`; unless it is met, nothing is started.", default=""
    )
    params: Mapping[str, Template] = field(
        MapOf(TemplateText(), what="a mapping of parameters"),
        "The action's parameters: templates over `.body` and `.headers`.",
        default=dict,
    )


def _webhook(read: WebhookConfig, location: Location) -> WebhookConfig:
    if not _NAME.fullmatch(read.name):
        location.error("the name is part of an address: letters, digits and - . _ ~ only")
    if read.secret is not None and not read.scheme and not location.has_error("scheme"):
        location.error("say how the secret is used: scheme github, gitlab, standard or token")
    if read.scheme and read.secret is None and not location.has_error("secret"):
        location.error(f"scheme {read.scheme} needs a secret")
    if read.scheme == "standard" and read.secret is not None and read.secret.text:
        try:
            key_of(read.secret.text)
        except ValueError as error:
            location.child("secret", location.line).error(str(error))
    for param, template in read.params.items():
        for name in sorted(template.names.difference(NAMES)):
            here = location.child("params", location.line).child(param, location.line)
            here.error(
                f"there is no .{name} here{did_you_mean(name, NAMES, prefix='.')}; known: .body, .headers"
            )
    return read


WEBHOOK = Object(WebhookConfig, _webhook, strict=True)


def webhook_problems(
    webhooks: Mapping[str, WebhookConfig],
    actions: Collection[str],
    secrets: Collection[str],
    listen: Listen,
    *,
    encrypted: bool,
) -> Iterator[tuple[Path, str]]:
    """What cannot be: path below ``webhooks`` and sentence. An action or a secret does not exist, or a secret
    would be there for others to read.

    Args:
        encrypted: whether the server speaks TLS.
    """
    for name, hook in webhooks.items():
        if hook.action and hook.action not in actions:
            hint = did_you_mean(hook.action, actions)
            yield (name, "action"), f"no such action: {hook.action}{hint}"
        if hook.secret is not None and hook.secret.secret and hook.secret.secret not in secrets:
            hint = did_you_mean(hook.secret.secret, secrets)
            said = f"there is no {quoted(hook.secret.secret)} among the top-level secrets{hint}"
            yield (name, "secret", "secret"), said
        if hook.scheme in _IN_CLEAR and not (hook.insecure or encrypted or listen.is_local):
            what = "scheme token shows its secret" if hook.scheme else "without a secret anybody can use it"
            yield (
                (name,),
                f"{what}, and {listen} is reached by others without TLS: use a scheme that signs, tls, or "
                "insecure: true",
            )
