"""``clients``, ``history`` and ``limits``: what clients, finished tasks and lines may cost."""

from __future__ import annotations

from overseer.protocol import MessageLimits
from overseer.protocol.words import ON_LAG
from overseer.schema.fields import declared, field
from overseer.schema.quantities import COUNT, SECONDS, Integer, Seconds, Size


@declared()
class ClientsConfig:
    """``clients``: how clients are kept connected, and what happens to those that read slowly."""

    buffer: int = field(
        Size(), "How many bytes may wait for one client before its tasks are held up.", default=8 * 2**20
    )
    stall_timeout: float = field(
        Seconds(zero=False),
        "A client whose buffer stays over half full for this long is closed with code 1013.",
        default=30.0,
    )
    keepalive: float = field(
        Seconds(zero=False),
        "How often a client is pinged: more often than a proxy before the server gives up on an idle "
        "connection. A client that does not answer for another minute is closed.",
        default=20.0,
    )
    on_lag: str = field(
        ON_LAG,
        "What a full buffer means unless a subscription says otherwise: the task waits (`block`, nothing is "
        "lost), the client misses output and gets a `gap` (`drop`), or it is later sent what it missed from "
        "the log (`catch_up`, nothing is lost and nothing waits; needs a `data_dir`).",
        default="",
        default_text="`catch_up` with a `data_dir`, else `block`",
    )


@declared()
class HistoryConfig:
    """``history``: how much of finished tasks is remembered. None younger than a minute is forgotten."""

    tasks: int = field(COUNT, "How many finished tasks are kept.", default=1000)
    age: float = field(SECONDS, "How long they are kept.", default=86400.0)


@declared()
class LimitsConfig:
    """``limits``: what one client, or one line, may cost."""

    max_message: int = field(
        Size(),
        "The longest message from a client, in bytes; a longer one closes it with code 1009.",
        default=2**20,
    )
    max_connections: int = field(Integer(1), "How many clients may be connected at once.", default=2000)
    handshake_timeout: float = field(
        Seconds(zero=False), "How long a client may take to send its HTTP request.", default=10.0
    )
    max_line: int = field(
        Size(), "The longest line of output, in bytes; a longer one is cut there and marked `truncated`.",
        default=10 * 2**20,
    )  # fmt: skip
    max_params: int = field(COUNT, "How many parameters a start may give.", default=MessageLimits().params)
    max_param: int = field(
        Size(), "The longest value of a parameter, in characters.", default=MessageLimits().param_value
    )
    max_params_size: int = field(
        Size(), "The longest that a start's parameters may be together, names and values, in characters.",
        default=MessageLimits().params_size,
    )  # fmt: skip
    memory: int = field(
        Size(),
        "What stored output, unread messages and parameters of queued tasks may occupy together. Beyond it, "
        "stored output is evicted: that of finished tasks first, then the largest. `list` shows "
        "`output_evicted`.",
        default=2**30,
    )
    requests_per_second: int = field(
        COUNT,
        "How many requests a client may send in a second; more are refused. By HTTP, a client is a token's "
        "name or, without tokens, an address. 0: unlimited.",
        default=0,
    )

    def message_limits(self) -> MessageLimits:
        """The bounds that the parser of requests keeps."""
        return MessageLimits(
            params=self.max_params, param_value=self.max_param, params_size=self.max_params_size
        )
