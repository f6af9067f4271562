"""Tokens: hashed as soon as they are read, compared in constant time."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass

from overseer.auth.digest import digest_of
from overseer.auth.principal import Principal


@dataclass(frozen=True, slots=True)
class Tokens:
    """All tokens of a server, as those whose they are. False when there are none: nobody need present one.

    One without a credential has no token: only a certificate of that name will do.
    """

    principals: tuple[Principal, ...] = ()

    def __len__(self) -> int:
        return len(self.principals)

    def find(self, presented: str) -> Principal | None:
        """Whose token this is; None when it is nobody's.

        How long it takes depends on the length of ``presented`` and the number of tokens alone: hashes are
        compared, all of them, each in constant time.
        """
        digest = digest_of(presented).value
        found: Principal | None = None
        for principal in self.principals:
            known = principal.credential or bytes(len(digest))
            if hmac.compare_digest(known, digest) and principal.credential and found is None:
                found = principal
        return found

    def named(self, names: Collection[str]) -> Principal | None:
        """Who presents a certificate with these names: the first that has one of them as its name."""
        return next((principal for principal in self.principals if principal.name in names), None)
