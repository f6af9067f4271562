"""What another program has to know of processes to go on with them: see :mod:`overseer.util.handover`.

All is exported at a standstill.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from overseer.process.finder import new_scanner
from overseer.process.lines import LineSplitter, MaskedSplitter
from overseer.process.pipe import Pipe, PipeReader
from overseer.process.private_files import PrivateFiles
from overseer.process.raw import MaskedRaw
from overseer.process.registry import Entry
from overseer.process.usage import Usage, UsageMeter, _Process, _Run
from overseer.util.dataclass_json import from_plain, to_plain
from overseer.util.handover import Incoming, Outgoing
from overseer.util.masking import Masker

_OF_PIPE = ("again_at", "owed", "silent_at", "_showing", "_show_at", "_raw_again")
_OF_PROCESS = ("parent", "session", "cpu", "children_cpu", "start", "rss", "threads", "io")


# Pipes


def export_pipe(pipe: Pipe, out: Outgoing) -> dict[str, Any]:
    """One of a run's pipes, and what has been read of its unfinished line."""
    raw = pipe._raw
    return {
        "fd": out.pipe(pipe.fd),
        "state": [getattr(pipe, name) for name in _OF_PIPE],
        "splitter": _export_splitter(pipe._splitter, out),
        "raw": _export_masker(raw._masker, out) if isinstance(raw, MaskedRaw) else None,
    }


def restore_pipe(pipe: Pipe, data: Mapping[str, Any], given: Incoming) -> None:
    pipe.ahead = given.kept(data["fd"])
    for name, value in zip(_OF_PIPE, data["state"], strict=True):
        setattr(pipe, name, value)
    _restore_splitter(pipe._splitter, data["splitter"], given)
    if data["raw"] is not None and isinstance(pipe._raw, MaskedRaw):
        _restore_masker(pipe._raw._masker, data["raw"], given)


def _export_splitter(splitter: LineSplitter, out: Outgoing) -> dict[str, Any]:
    masked = isinstance(splitter, MaskedSplitter)
    return {
        "held": out.blob(bytes(splitter.held)),
        "state": [splitter._redrawn, splitter._overwritten, splitter._skipping],
        "masker": _export_masker(splitter._masker, out) if masked else None,  # type: ignore[attr-defined]
    }


def _restore_splitter(splitter: LineSplitter, data: Mapping[str, Any], given: Incoming) -> None:
    splitter.held += given.blob(data["held"])
    splitter._redrawn, splitter._overwritten, splitter._skipping = data["state"]
    if data["masker"] is not None and isinstance(splitter, MaskedSplitter):
        _restore_masker(splitter._masker, data["masker"], given)


def _export_masker(masker: Masker, out: Outgoing) -> list[int]:
    return [out.blob(masker._held), masker._covered]


def _restore_masker(masker: Masker, data: list[int], given: Incoming) -> None:
    masker._held, masker._covered = given.blob(data[0]), data[1]


def export_reader(reader: PipeReader, out: Outgoing) -> dict[str, Any]:
    """The pipes that are still read."""
    return {
        "drained_by": reader._drained_by,
        "pipes": [export_pipe(pipe, out) for pipe in reader._open.values()],
    }


def restore_reader(reader: PipeReader, data: Mapping[str, Any], given: Incoming) -> None:
    """``reader`` has these pipes, in this order."""
    reader._drained_by = data["drained_by"]
    for pipe, said in zip(reader._open.values(), data["pipes"], strict=True):
        restore_pipe(pipe, said, given)


# Files


def export_files(files: PrivateFiles, out: Outgoing) -> dict[str, Any]:
    """A run's own files."""
    return {
        "directory": files._directory,
        "lock": out.fd(files._lock),
        "owner": files._owner,
        "paths": dict(files.paths),
    }


def restore_files(data: Mapping[str, Any], given: Incoming) -> PrivateFiles:
    files = PrivateFiles.__new__(PrivateFiles)
    files._directory, files._owner = data["directory"], data["owner"]
    files._lock = given.fd(data["lock"])
    files.paths = dict(data["paths"])
    return files


# The registry, and what the runs use


def export_entry(entry: Entry) -> dict[str, Any]:
    said: dict[str, Any] = to_plain(entry)
    return {**said, "pipes": sorted(entry.pipes)}


def restore_entry(data: Mapping[str, Any]) -> Entry:
    """The entry of a run that lives; it must be entered."""
    return from_plain(Entry, data)


def export_usage(meter: UsageMeter) -> dict[str, Any]:
    """What the runs have used up to the last pass."""
    with meter._passed:
        return {
            name: {
                "leader": run.leader,
                "ticks": run.ticks,
                "peak": run.peak,
                "io": run.io,
                "passes": run._passes,
                "last": run.last and astuple(run.last),
                "members": {
                    str(pid): [getattr(each, name) for name in _OF_PROCESS]
                    for pid, each in run.members.items()
                },
            }
            for name, run in meter._runs.items()
        }


def restore_usage(meter: UsageMeter, data: Mapping[str, Any]) -> None:
    meter._scanner = new_scanner()
    for name, said in data.items():
        run = meter._runs[name] = _Run(said["leader"])
        run.ticks, run.peak, run._passes = said["ticks"], said["peak"], said["passes"]
        run.io = said["io"] and tuple(said["io"])
        run.last = Usage(*said["last"]) if said["last"] else None
        for number, values in said["members"].items():
            pid = int(number)
            process = run.members[pid] = _Process.__new__(_Process)
            process.pid, process.run = pid, name
            for field, value in zip(_OF_PROCESS, values, strict=True):
                setattr(process, field, value)
            process.io = process.io and tuple(process.io)  # type: ignore[assignment]
            meter._owners[pid] = process.start, name
