"""The audit log: who requested to start, stop or change something, from where, with what result."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from overseer import protocol
from overseer.auth.peer import Peer
from overseer.auth.rights import NEEDS, Principal
from overseer.config.parameters import without_hidden
from overseer.net.frames import Encoded
from overseer.util.jsonlog import EventLog
from overseer.util.timestamps import format_timestamp, now

_SHOWN = 256  # characters of a parameter
# Characters that terminals and line readers may act on, escaped like those below U+0020.
_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}


class Audit(EventLog):
    """Appends a line of JSON for each such request to a file; off when the path is empty.

    A line: ``ts``, ``who`` (a token's name, ``uid N``, what the server does by itself, or ``""`` where no
    identity is asked for), ``from`` (an address, ``unix``, ``stdio``, ``server``), ``request`` (with long
    parameters cut, and without secrets; of input only how many ``bytes``; only ``type``, ``action`` and
    ``task_id`` when it was not permitted), ``allowed`` (whether it was permitted), and where they apply
    ``task_id`` (of a start that named none) and ``error`` (why it was refused).

    Args:
        hidden: the parameters of an action, among those given, whose values are shown to nobody.
    """

    def __init__(
        self,
        path: str = "",
        hidden: Callable[[str, Mapping[str, str]], Collection[str]] = lambda action, params: (),
    ) -> None:
        super().__init__(path, "audit", 0o600)
        self._hidden = hidden

    def record_own(self, by: str, request: protocol.Request, *, error: str = "", task_id: str = "") -> None:
        """Record what the server does by itself (``by`` a schedule, say) as if a person had requested it."""
        peer = Peer("server", "", principal=Principal(by, "admin"))
        self.record(peer, request, allowed=True, error=error, task_id=task_id)

    def record(
        self, peer: Peer, request: protocol.Request, *, allowed: bool, error: str = "", task_id: str = ""
    ) -> None:
        """Record a request that has been handled, if it is one that a viewer may not make."""
        if not self.enabled or NEEDS.get(request.type) == "viewer":
            return
        if isinstance(request, protocol.Start):
            hidden = self._hidden(request.action, request.params)
            request = replace(request, params=without_hidden(request.params, hidden))
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
        self.write(message, len(message.lines))


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
