"""The sections about who may do what: ``auth`` and ``tls``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from overseer.auth.digest import Digest, digest_of, doubtful
from overseer.auth.rights import ROLES
from overseer.schema.fields import declared, field
from overseer.schema.location import Location, check_alternatives
from overseer.schema.nodes import Node, Scalar
from overseer.schema.objects import ListOf, MapOf, Object
from overseer.schema.quantities import Mode, Seconds
from overseer.schema.types import Choice, FieldType, Text, TextList


class Secret(FieldType):
    """A secret text. The value is its :class:`Digest`: neither memory nor a log holds the text afterwards."""

    def from_yaml(self, node: Node, location: Location) -> Digest:
        if not isinstance(node, Scalar):
            raise ValueError("expected text")
        if not node.text:
            raise ValueError("an empty text is not a secret")
        if warning := doubtful(node.text):
            location.warn(warning)
        return digest_of(node.text)


class Sha256(FieldType):
    """The SHA-256 of a secret, in hexadecimal; the value is a :class:`Digest`."""

    def from_yaml(self, node: Node, location: Location) -> Digest:
        if not isinstance(node, Scalar) or not re.fullmatch("[0-9a-fA-F]{64}", node.text):
            raise ValueError(
                "expected the SHA-256 of the token, 64 hexadecimal digits: printf %s TOKEN | sha256sum"
            )
        return Digest(bytes.fromhex(node.text))


@declared(kw_only=True)
class TokenConfig:
    """One of ``auth.tokens``. At most one of the four sources is set; without one, a certificate must do."""

    name: str = field(
        Text(), "Its owner, for the audit and the log; also the name in a client's certificate that counts "
        "as this token, see `tls.client_ca`.",
        missing="a token needs a name, by which the audit tells who did what",
    )  # fmt: skip
    token: Digest | None = field(
        Secret(), "The token itself. Prefer one of the next three: config files travel.", default=None
    )
    token_file: str = field(Text("path"), "A file that contains only the token.", default="")
    token_env: str = field(
        Text(),
        "An environment variable that holds it; it is not passed on to children.",
        default="",
    )
    token_sha256: Digest | None = field(
        Sha256(),
        "Its SHA-256 in hexadecimal (`printf %s TOKEN | sha256sum`), so that the file does not reveal it.",
        default=None,
    )
    role: str = field(
        Choice(*ROLES),
        "`viewer` only looks; `operator` also starts, stops and controls tasks; `admin` also changes pools, "
        "purges queues, and reloads and upgrades the server.",
        missing="say what it may do: viewer, operator or admin",
    )
    actions: tuple[str, ...] | None = field(
        TextList(commas=False),
        "The actions that it can see and use, with `*` and `?` as in file names. Others do not exist for it.",
        default=None, default_text="all",
    )  # fmt: skip


def _token(read: TokenConfig, location: Location) -> TokenConfig:
    check_alternatives(read, ("token", "token_file", "token_env", "token_sha256"), location)
    if read.actions == ():
        location.warn("an empty list of actions: this token sees none of them")
    return read


@declared()
class AuthConfig:
    """``auth``: who may do what."""

    tokens: tuple[TokenConfig, ...] = field(
        ListOf(Object(TokenConfig, _token, strict=True)),
        "With any token here (or in `OVERSEER_TOKEN`), clients must present one.", default=(),
    )  # fmt: skip
    unix: Mapping[str, str] = field(
        MapOf(Choice(*ROLES), what="a mapping of users to roles"),
        "Over a Unix socket: users, by name or number, and their roles. The server's own user is `admin` "
        "unless listed here.",
        default=dict,
    )
    session_age: float = field(
        Seconds(zero=False), "How long a sign-in to the page lasts.", default=12 * 3600.0
    )

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that have tokens."""
        return ("OVERSEER_TOKEN", *(token.token_env for token in self.tokens if token.token_env))


def _auth(read: AuthConfig, location: Location) -> AuthConfig:
    names = [token.name for token in read.tokens]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        location.error(f"two tokens have the name {name}")
    return read


AUTH = Object(AuthConfig, _auth, strict=True)


@declared()
class TlsConfig:
    """``tls``: encryption, 1.2 or later. Off without a ``cert``."""

    cert: str = field(
        Text("path"), "The server's certificate, PEM, followed by the intermediate ones.", default=""
    )
    key: str = field(Text("path"), "Its private key, PEM.", default="", default_text="in the file of `cert`")
    client_ca: str = field(
        Text("path"),
        "Certificates of authorities, PEM: clients must present a certificate issued by one of them. Its "
        "common name or a name in its SAN that is the `name` of a token counts as that token.",
        default="",
    )


def _tls(read: TlsConfig, location: Location) -> TlsConfig:
    if (read.key or read.client_ca) and not read.cert:
        location.error("cert is missing: TLS needs the server's certificate")
    return read


TLS = Object(TlsConfig, _tls, strict=True)


class FileMode(Mode):
    """Permissions of a file, as chmod takes them."""

    def __init__(self) -> None:
        super().__init__(3, "permissions such as 0660")

    def from_yaml(self, node: Node, location: Location) -> int:
        mode = super().from_yaml(node, location)
        if mode & 0o002:
            location.warn("every user of this machine may connect")
        return mode

    def shown(self, value: int) -> str:
        return f"`{value:04o}`"
