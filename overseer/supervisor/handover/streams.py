"""Handing over a task's output: its numbers, its ring, its subscribers and its log's end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overseer.net.frames import Encoded
from overseer.supervisor.clients import Client
from overseer.supervisor.handover.rings import export_ring, restore_first_format, restore_ring
from overseer.supervisor.output.publisher import Stream
from overseer.supervisor.output.raw import KEPT, RawOutput
from overseer.supervisor.output.subscription import Behind, Subscription, Wishes
from overseer.supervisor.output.unfinished import UnfinishedLines, _Line
from overseer.util.handover_format import Incoming, Outgoing

Numbers = Mapping[Client, int]
"""The clients that are handed over: those of connections that are."""

_KEPT = ("partial", "raw", "usage", "gap_from", "gap_to", "raw_seen", "awaits_room", "by_watch", "on_lag")


def export_stream(stream: Stream, numbers: Numbers, out: Outgoing) -> dict[str, Any]:
    """All of it; the task's lock is held."""
    raw, unfinished = stream._raw, stream._unfinished
    return {
        "base_seq": stream.base_seq,
        "last_seq": stream.last_seq,
        "run": stream.run,
        "reserve_at": stream._reserve_at if stream._reserve is not None else None,
        "ring": export_ring(stream.ring, out),
        "disk": _export_log(stream),
        "unfinished": unfinished
        and {
            name: [out.blob(line.line), line.pid, line.text, line.stale]
            for name, line in unfinished._lines.items()
        },
        "raw": raw and {"pid": raw._pid, "end": raw._end, "kept": out.blob(bytes(raw._kept))},
        "subscribers": [
            export_subscription(each, numbers, out)
            for each in stream.subscribers.values()
            if each.client in numbers
        ],
    }


def restore_stream(
    stream: Stream, data: Mapping[str, Any], clients: Mapping[int, Client], given: Incoming
) -> None:
    """All but what its run and its record make of it; the task's lock is held."""
    stream.base_seq, stream.last_seq, stream.run = data["base_seq"], data["last_seq"], data["run"]
    if "cut" in data:
        restore_first_format(stream.ring, data["ring"], cut=data["cut"])
    else:
        restore_ring(stream.ring, data["ring"], given)
    if data["disk"] is not None and stream.logs is not None:
        from overseer.logs.handover import restore_log  # only where there are logs

        stream.disk = restore_log(stream.logs, data["disk"])
    if data["unfinished"] is not None:
        stream._unfinished = UnfinishedLines(stream._task_id, stream._lock)
        for name, (line, pid, text, stale) in data["unfinished"].items():
            kept = stream._unfinished._lines[name] = _Line()
            kept.line, kept.pid, kept.text, kept.stale = given.blob(line), pid, text, stale
    if (said := data["raw"]) is not None:
        raw = stream._raw = RawOutput(stream._task_id, stream._lock, stream._memory)
        if kept_raw := given.blob(said["kept"]):
            raw._counts = True
            stream._memory.ring_changed(2 * KEPT)
            raw._kept += kept_raw
        raw._pid, raw._end = said["pid"], said["end"]
    for number, said, events in data["subscribers"]:
        if (client := clients.get(number)) is not None:
            _add(stream, restore_subscription(client, said, events, given))


def _export_log(stream: Stream) -> Any:
    if stream.disk is None:
        return None
    from overseer.logs.handover import export_log  # only where there are logs

    return export_log(stream.disk)


def _add(stream: Stream, subscription: Subscription) -> None:
    outbox = subscription.client.outbox
    if subscription.gap_from:
        outbox.on_room(lambda: stream._end_gap(subscription))
    if subscription.awaits_room and (raw := stream._raw) is not None:
        outbox.on_room(lambda: raw._resume(subscription))
    if stream._laggards is None:
        subscription.behind = None
    stream.adopt_locked(subscription)


def export_subscription(subscription: Subscription, numbers: Numbers, out: Outgoing) -> list[Any]:
    """Its client, itself, and the events that wait for their place."""
    behind = subscription.behind
    said = {
        **{name: getattr(subscription, name) for name in _KEPT},
        "owed": sorted(subscription.owed),
        "behind": behind and behind.next_seq,
    }
    events = [
        (seq, [out.blob(data) for data in message.payloads])
        for seq, message in (behind.events if behind is not None else ())
        if isinstance(message, Encoded)
    ]
    return [numbers[subscription.client], said, events]


def restore_subscription(
    client: Client, data: Mapping[str, Any], events: Any, given: Incoming
) -> Subscription:
    subscription = Subscription(client, Wishes())
    for name in _KEPT:
        setattr(subscription, name, data[name])
    subscription.owed = set(data["owed"])
    if data["behind"] is not None:
        behind = subscription.behind = Behind(data["behind"])
        for seq, payloads in events:
            behind.events.append((seq, Encoded([given.blob(blob) for blob in payloads])))
    return subscription
