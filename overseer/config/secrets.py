"""Secrets in the file: hashed as they are read, so that neither memory nor a log has them afterwards."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from overseer.config.kinds import Kind
from overseer.config.report import Spot
from overseer.config.tree import Node, Scalar

__all__ = ["Digest", "Secret", "Sha256", "digest_of", "doubtful"]

_SHORT = 16  # characters; 16 random ones take longer to guess than anybody has


@dataclass(frozen=True, slots=True)
class Digest:
    """The SHA-256 of a secret. Shown nowhere: a weak secret could be found from it."""

    value: bytes = field(repr=False)


def digest_of(secret: str) -> Digest:
    """The digest of a secret text."""
    return Digest(hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest())


def doubtful(secret: str) -> str:
    """What to say of a secret that is too short, or hardly what was meant; "" when it is neither."""
    if any(map(str.isspace, secret)):
        return "there are blanks in this token: is a comment or a line's end part of it?"
    if len(secret) >= _SHORT:
        return ""
    return (
        f"a token of {len(secret)} characters can be guessed: take 32 random ones, for example from: "
        "openssl rand -hex 16"
    )


class Secret(Kind):
    """A secret text; the value is its :class:`Digest`."""

    label = "text"

    def read(self, node: Node, spot: Spot) -> Digest:
        if not isinstance(node, Scalar):
            raise ValueError("expected text")
        if not node.text:
            raise ValueError("an empty text is no secret")
        if warning := doubtful(node.text):
            spot.warn(warning)
        return digest_of(node.text)


class Sha256(Kind):
    """The SHA-256 of a secret, in hexadecimal; the value is a :class:`Digest`."""

    label = "text"

    def read(self, node: Node, spot: Spot) -> Digest:
        if not isinstance(node, Scalar) or not re.fullmatch("[0-9a-fA-F]{64}", node.text):
            raise ValueError(
                "expected the SHA-256 of the token, 64 hexadecimal digits: printf %s TOKEN | sha256sum"
            )
        return Digest(bytes.fromhex(node.text))
