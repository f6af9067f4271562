"""``webhooks``: requests of other services that start an action."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from overseer.cel import compile_cel
from overseer.cel.statictypes import DYN, STRING, map_of
from overseer.config.exec import Expression, TemplateText, check_names
from overseer.config.listen import Listen
from overseer.config.notices import Confidential, ConfidentialText, check_key
from overseer.config.references import check_reference, check_secret
from overseer.schema.fields import declared, field
from overseer.schema.location import Location
from overseer.schema.nodes import Node
from overseer.schema.objects import MapOf, Object
from overseer.schema.types import BOOLEAN, TEXT, Choice
from overseer.templates import Template

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


@declared()
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
    if read.scheme == "standard":
        check_key(read.secret, location)
    for param, template in read.params.items():
        check_names(template, NAMES, location.at("params", param))
    return read


WEBHOOK = Object(WebhookConfig, _webhook, strict=True)


def check_webhooks(
    webhooks: Mapping[str, WebhookConfig],
    actions: Collection[str],
    secrets: Collection[str],
    listen: Listen,
    location: Location,
    *,
    encrypted: bool,
) -> None:
    """Report an action or a secret that does not exist, and a secret that would be there for others to read.

    Args:
        location: of the webhooks.
        encrypted: whether the server speaks TLS.
    """
    for name, hook in webhooks.items():
        here = location.at(name)
        check_reference(hook.action, "action", actions, here.at("action"))
        if hook.secret is not None:
            check_secret(hook.secret.secret, secrets, here.at("secret"))
        if hook.scheme in _IN_CLEAR and not (hook.insecure or encrypted or listen.is_local):
            what = "scheme token shows its secret" if hook.scheme else "without a secret anybody can use it"
            here.error(
                f"{what}, and {listen} is reached by others without TLS: use a scheme that signs, tls, or "
                "insecure: true"
            )
