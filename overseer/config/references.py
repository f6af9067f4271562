"""Names in the file that refer to something else in it."""

from __future__ import annotations

from collections.abc import Collection

from overseer.schema.location import Location, quoted
from overseer.util.suggest import did_you_mean


def check_reference(name: str, what: str, known: Collection[str], location: Location) -> None:
    """Report a name of an action, task or channel that does not exist.

    An empty name and an unreadable entry, which ``known`` lacks, have been reported already.
    """
    if name and name not in known and not Location(location.report, (f"{what}s",)).has_error(name):
        location.error(f"no such {what}: {name}{did_you_mean(name, known)}")


def check_secret(name: str, known: Collection[str], location: Location) -> None:
    """Report a name, other than ``""``, that none of the secrets has."""
    if name and name not in known and not Location(location.report, ("secrets",)).has_error(name):
        hint = did_you_mean(name, known)
        location.at("secret").error(f"there is no {quoted(name)} among the top-level secrets{hint}")
