"""Secrets, kept hashed so that they are in neither memory nor logs."""

from __future__ import annotations

from dataclasses import dataclass, field

from overseer.util.hashes import sha256

_SHORT = 16  # characters; 16 random ones are infeasible to guess


@dataclass(frozen=True, slots=True)
class Digest:
    """The SHA-256 of a secret. Never shown: a weak secret could be found from it."""

    value: bytes = field(repr=False)


def digest_of(secret: str) -> Digest:
    return Digest(sha256(secret.encode("utf-8", "surrogatepass")).digest())


def doubtful(secret: str) -> str:
    """A warning about a secret that is too short or hardly the intended one, else ``""``."""
    if any(map(str.isspace, secret)):
        return "this token contains spaces: has a comment or a line end got into it?"
    if len(secret) >= _SHORT:
        return ""
    return (
        f"a token of {len(secret)} characters can be guessed: use 32 random ones, for example from: "
        "openssl rand -hex 16"
    )
