"""Clients by number: a client is one of the connections that are handed over, or gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overseer.history.records import trigger_of
from overseer.supervisor.clients import Client
from overseer.supervisor.output.subscription import Subscription, Wishes
from overseer.supervisor.task import Requester
from overseer.util.dataclass_json import to_plain

Numbers = Mapping[Client, int]
"""The clients that are handed over."""

_KEPT = ("partial", "raw", "usage", "gap_from", "gap_to", "raw_seen", "awaits_room", "by_watch", "on_lag")


def export_requester(requester: Requester, numbers: Numbers) -> dict[str, Any]:
    client = requester.client
    return {
        # Nobody is told whose connection is gone; its runs stay a client's.
        "client": None if client is None else numbers.get(client),
        "request_id": requester.request_id,
        "newly_subscribed": requester.newly_subscribed,
        "cause": to_plain(requester.cause if client is None else requester.trigger),
    }


def restore_requester(data: Mapping[str, Any], clients: Mapping[int, Client]) -> Requester:
    client = clients.get(data["client"])
    cause = trigger_of(data["cause"]) if client is None and data["cause"] is not None else None
    return Requester(client, data["request_id"], data["newly_subscribed"], cause)


def export_subscription(subscription: Subscription) -> dict[str, Any]:
    said = {name: getattr(subscription, name) for name in _KEPT}
    behind = subscription.behind
    return {**said, "owed": sorted(subscription.owed), "behind": behind and behind.next_seq}


def restore_subscription(client: Client, data: Mapping[str, Any]) -> Subscription:
    """Without what it is behind by."""
    subscription = Subscription(client, Wishes())
    for name in _KEPT:
        setattr(subscription, name, data[name])
    subscription.owed = set(data["owed"])
    return subscription
