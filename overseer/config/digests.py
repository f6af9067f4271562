"""Secrets in the file: hashed as they are read, so that neither memory nor a log holds them afterwards."""

from __future__ import annotations

import re

from overseer.auth.digest import Digest, digest_of, doubtful
from overseer.schema.location import Location
from overseer.schema.nodes import Node, Scalar
from overseer.schema.types import FieldType


class Secret(FieldType):
    """A secret text; the value is its :class:`Digest`."""

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
