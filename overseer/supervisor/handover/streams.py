"""Handing over a task's output: its numbers, its ring, its subscribers and its log's end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overseer.net.frames import Encoded
from overseer.supervisor.clients import Client
from overseer.supervisor.handover.clients import Numbers, export_subscription, restore_subscription
from overseer.supervisor.handover.rings import export_ring, restore_first_format, restore_ring
from overseer.supervisor.output.publisher import Stream
from overseer.supervisor.output.raw import KEPT, RawOutput
from overseer.supervisor.output.subscription import Behind, Subscription
from overseer.supervisor.output.unfinished import UnfinishedLines, _Line
from overseer.util.handover import Incoming, Outgoing


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
            [numbers[client], export_subscription(subscription), export_events(subscription.behind, out)]
            for client, subscription in stream.subscribers.items()
            if client in numbers
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
    for number, said, behind in data["subscribers"]:
        if (client := clients.get(number)) is not None:
            _add(stream, restore_subscription(client, said), said, behind, given)


def _export_log(stream: Stream) -> Any:
    if stream.disk is None:
        return None
    from overseer.logs.handover import export_log  # only where there are logs

    return export_log(stream.disk)


def _add(
    stream: Stream, subscription: Subscription, said: Mapping[str, Any], behind: Any, given: Incoming
) -> None:
    stream.subscribers[subscription.client] = subscription
    outbox = subscription.client.outbox
    if subscription.gap_from:
        outbox.on_room(lambda: stream._end_gap(subscription))
    if subscription.awaits_room and (raw := stream._raw) is not None:
        outbox.on_room(lambda: raw._resume(subscription))
    if said["behind"] is not None and stream._laggards is not None:
        where = restore_behind(said["behind"], behind, given)
        stream._laggards.add_locked(subscription, where)


def restore_behind(next_seq: int, events: Any, given: Incoming) -> Behind:
    where = Behind(next_seq)
    where.events.extend((seq, Encoded([given.blob(data) for data in payloads])) for seq, payloads in events)
    return where


def export_events(behind: Behind | None, out: Outgoing) -> Any:
    """The events that wait for their place."""
    events = () if behind is None else behind.events
    return [
        (seq, [out.blob(data) for data in message.payloads])
        for seq, message in events
        if isinstance(message, Encoded)
    ]
