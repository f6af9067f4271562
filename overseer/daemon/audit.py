"""The audit log: who requested to start, stop or change something, from where, with what result."""

from __future__ import annotations

from typing import Any

from overseer import protocol
from overseer.auth.peer import Peer
from overseer.net.frames import Encoded
from overseer.util.jsonlog import EventLog
from overseer.util.timestamps import format_timestamp, now

_SHOWN = 256  # characters of a parameter
# Characters that terminals and line readers may act on, escaped like those below U+0020.
_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}
_RECORDED = (
    protocol.Start,
    protocol.Stop,
    protocol.Reset,
    protocol.Restart,
    protocol.Forget,
    protocol.Signal,
    protocol.Input,
    protocol.Resize,
    protocol.Pause,
    protocol.Resume,
    protocol.Move,
    protocol.SetPool,
    protocol.Purge,
    protocol.Reload,
    protocol.NotifyTest,
    protocol.Upgrade,
)


class Audit:
    """Appends a line of JSON for each such request to a file; off when the path is empty.

    A line: ``ts``, ``who`` (a token's name, ``uid N``, what the server does by itself, or ``""`` where no
    identity is asked for), ``from`` (an address, ``unix``, ``stdio``, ``server``), ``request`` (with long
    parameters cut, and without secrets; of input only how many ``bytes``; only ``type``, ``action`` and
    ``task_id`` when it was not permitted), ``allowed`` (whether it was permitted), and where they apply
    ``task_id`` (of a start that named none) and ``error`` (why it was refused).
    """

    def __init__(self, path: str = "") -> None:
        self._file = EventLog(path, "audit", 0o600)

    @property
    def enabled(self) -> bool:
        return self._file.enabled

    def start(self) -> None:
        """Open the file. Raises OSError."""
        self._file.start()

    def reopen(self) -> None:
        """Reopen the path, for log rotation."""
        self._file.reopen()

    def settle(self, timeout: float) -> None:
        """Wait until what is queued has been written, for at most so many seconds."""
        self._file.settle(timeout)

    def close(self) -> None:
        """Write what is queued, and close the file. Idempotent."""
        self._file.close()

    def record(
        self, peer: Peer, request: protocol.Request, *, allowed: bool, error: str = "", task_id: str = ""
    ) -> None:
        """Record a request that has been handled, if it is of a recorded type."""
        if not self._file.enabled or not isinstance(request, _RECORDED):
            return
        line: dict[str, Any] = {
            "ts": format_timestamp(now()),
            "who": peer.principal.name or ("" if peer.uid is None else f"uid {peer.uid}"),
            "from": peer.address if peer.kind == "tcp" else peer.kind,
            "request": _shown(request, allowed),
            "allowed": allowed,
        }
        if task_id:
            line["task_id"] = task_id
        if error:
            line["error"] = error
        message = Encoded([protocol.dump(line).decode().translate(_ESCAPES).encode()])
        self._file.write(message, len(message.lines))


def _shown(request: protocol.Request, allowed: bool) -> dict[str, Any]:
    plain = protocol.to_plain(request)
    if not allowed:
        return {name: plain[name] for name in ("type", "action", "task_id") if name in plain}
    if isinstance(request, protocol.Input):
        for name in ("data", "data_base64"):
            plain.pop(name, None)
        plain["bytes"] = len(request.content)
    if params := plain.get("params"):
        plain["params"] = {
            name: text if len(text) <= _SHOWN else text[:_SHOWN] + "..." for name, text in params.items()
        }
    return plain
