"""Tokens: hashed as soon as they are read, compared in constant time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from overseer.auth.digest import digest_of
from overseer.auth.rights import Principal


@dataclass(frozen=True, slots=True)
class Tokens:
    """All tokens of a server, as the principals they belong to; false when there are none.

    A principal without a credential is known only by the name in its certificate.
    """

    principals: tuple[Principal, ...] = ()

    def __len__(self) -> int:
        return len(self.principals)

    def find(self, presented: str) -> Principal | None:
        """The principal with this token.

        The time taken depends only on the length of ``presented`` and the number of tokens: all hashes are
        compared, each in constant time.
        """
        import hmac  # which loads OpenSSL, as util.hashes says

        digest = digest_of(presented).value
        found: Principal | None = None
        for principal in self.principals:
            known = principal.credential or bytes(len(digest))
            if hmac.compare_digest(known, digest) and principal.credential and found is None:
                found = principal
        return found

    def named(self, names: Collection[str]) -> Principal | None:
        """The first principal whose name is among those of a certificate."""
        return next((principal for principal in self.principals if principal.name in names), None)
