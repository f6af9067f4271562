"""Secrets in the file: hashed as they are read, so that neither memory nor a log has them afterwards."""

from __future__ import annotations

import re

from overseer.auth.digest import Digest, digest_of, doubtful
from overseer.config.kinds import Kind
from overseer.config.report import Spot
from overseer.config.tree import Node, Scalar

__all__ = ["Secret", "Sha256"]

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
