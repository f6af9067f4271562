"""The configuration as the rest of the program sees it, and the declaration of most of the file's keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from overseer.auth.origins import check_host_name, check_origin
from overseer.config.kinds import Choice, Flag, Raw, Seconds, Signal, Size, Text, TextList, Whole
from overseer.config.listen import parse_cidrs, parse_listen
from overseer.config.report import ConfigErrors, Path, Spot
from overseer.config.schema import Named, Section, key
from overseer.config.sections import POOL, RETRY
from overseer.config.security import AUTH, TLS, AuthConfig, FileMode, TlsConfig
from overseer.config.tree import Node, line_of
from overseer.errors import ConfigError
from overseer.protocol import MessageLimits, PoolConfig, RetryPolicy

__all__ = ["ROOT", "ActionConfig", "ClientsConfig", "Config", "HistoryConfig", "LimitsConfig", "MetaConfig"]


@dataclass(frozen=True)
class ClientsConfig:
    """``clients``: what is done to keep clients connected, and about those that read slowly."""

    buffer: int = key(
        Size(), "How much may wait for one client, in bytes, before its tasks feel it.", default=8 * 2**20
    )
    stall_timeout: float = key(
        Seconds(zero=False),
        "A client whose buffer stays over half full for this long is closed with code 1013.",
        default=30.0,
    )
    keepalive: float = key(
        Seconds(zero=False),
        "How often a client is pinged: more often than a proxy before the server gives up on an idle "
        "connection. Who does not answer for a minute more is closed.",
        default=20.0,
    )
    on_lag: str = key(
        Choice("block", "drop"),
        "What a full buffer means where a subscription does not say: the task waits (`block`, nothing is "
        "lost) or the client misses output and is told so by a `gap` (`drop`).",
        default="block",
    )


@dataclass(frozen=True)
class HistoryConfig:
    """``history``: how much of finished tasks is remembered. None younger than a minute is forgotten."""

    tasks: int = key(Whole(), "How many finished tasks are kept.", default=1000)
    age: float = key(Seconds(), "How long they are kept.", default=86400.0)


@dataclass(frozen=True)
class LimitsConfig:
    """``limits``: what one client, or one line, may cost."""

    max_message: int = key(
        Size(),
        "The longest message from a client, in bytes; a longer one closes it with code 1009.",
        default=2**20,
    )
    max_connections: int = key(Whole(at_least=1), "How many clients may be connected at once.", default=2000)
    handshake_timeout: float = key(
        Seconds(zero=False), "How long a client may take to say what it wants.", default=10.0
    )
    max_line: int = key(
        Size(), "The longest line of output, in bytes; a longer one is cut there and marked `truncated`.",
        default=10 * 2**20,
    )  # fmt: skip
    max_params: int = key(Whole(), "How many parameters a start may give.", default=MessageLimits().params)
    max_param: int = key(
        Size(), "The longest value of a parameter, in characters.", default=MessageLimits().param_value
    )
    max_params_size: int = key(
        Size(), "The longest names and values of a start's parameters in all, in characters.",
        default=MessageLimits().params_size,
    )  # fmt: skip
    requests_per_second: int = key(
        Whole(), "How many requests a client may send in a second; what is above is refused. 0: any number.",
        default=0,
    )  # fmt: skip

    def message_limits(self) -> MessageLimits:
        """What the parser of requests is to hold to."""
        return MessageLimits(
            params=self.max_params, param_value=self.max_param, params_size=self.max_params_size
        )


@dataclass(frozen=True)
class MetaConfig:
    """``meta`` of an action: words for people."""

    description: str = key(Text(), "What the action does, as `describe` shows it.", default="")


@dataclass(frozen=True)
class ActionConfig:
    """One action.

    ``config`` is the driver's business: a dict of dict, list, str, bool, None, TextInt and TextFloat.
    ``task_pool`` is None when the file has none; ``retry`` is the action's own, see ``Config.retry_for``.
    """

    name: str
    type: str = key(
        Text(), "The driver that runs it: `exec`, or one of those that `--list-handlers` lists.",
        required='say which driver runs this action, for example "type: exec"',
    )  # fmt: skip
    config: Mapping[str, Any] = key(
        Raw(), "What the driver needs; see its documentation, for `exec` below.", default=dict
    )
    description: str = key(Text(), "What the action does, as `describe` shows it.", default="")
    meta: MetaConfig = key(Section(MetaConfig), "Another place for the `description`.", default=MetaConfig)
    task_pool: PoolConfig | None = key(
        POOL, "A pool of its own inside the server's; the same keys as at the top level.", default=None
    )
    retry: RetryPolicy = key(RETRY, "Merged over the top-level `retry`, the same keys.", default=RetryPolicy)
    dedupe_key: tuple[str, ...] = key(
        TextList("text or list of text", commas=False),
        "Names of parameters: a start is refused while a task with the same values of all of them is queued "
        "or active.",
        default=(),
    )
    strict_params: bool = key(
        Flag(),
        "Whether a start that gives a parameter which the action does not declare is refused.",
        default=False,
    )
    kill_mode: str = key(
        Choice("tree", "group", "leader"),
        "What a stop ends: all that can be told to be the task's (`tree`), its process group (`group`) or "
        "its first process alone (`leader`).",
        default="tree",
    )
    stop_signal: str = key(Signal(), "The signal that asks the task to end.", default="SIGTERM")
    stop_grace: float = key(Seconds(), "Time between that signal and SIGKILL.", default=5.0)


def _action(read: ActionConfig, spot: Spot) -> ActionConfig:
    return replace(read, description=read.description or read.meta.description)


ACTION = Section(ActionConfig, _action, stray=" (what the driver is to know goes under `config`)")


@dataclass(frozen=True)
class Config:
    """A configuration that holds together. ``file`` is where it came from, ``""`` for none.

    ``trusted_cidrs`` is None for the automatic choice. ``warnings`` are plain lines with their place;
    ``unknown`` are those about keys that mean nothing, again.
    """

    name: str = key(Text(), "The server's name, the title of `/openapi.json`.", default="sticky-overseer")
    description: str = key(Text(), "A sentence about it, for the same place.", default="")
    version: str = key(Text(), "A version of yours, for the same place.", default="")
    listen: str = key(
        Text("address", parse_listen), "Where clients connect, see [Addresses](#addresses).",
        default=":8080", env="OVERSEER_LISTEN",
    )  # fmt: skip
    trusted_cidrs: tuple[str, ...] | None = key(
        TextList("text or list of text", lambda text: parse_cidrs([text]), commas=True),
        "Networks (`10.0.0.0/8`) and addresses whose clients are let in; a list, or one text with commas. "
        "Empty: this machine and the networks its interfaces are in.",
        default=None, env="OVERSEER_TRUSTED_CIDRS", default_text="automatic",
    )  # fmt: skip
    socket_mode: int = key(FileMode(), "Permissions of a Unix socket's file: who may connect.", default=0o600)
    socket_group: str = key(
        Text(), "The group of a Unix socket's file, by name or number; goes with a `socket_mode` of `0660`.",
        default="", default_text="the server's own",
    )  # fmt: skip
    auth: AuthConfig = key(AUTH, "Tokens and users, and what they may do.", default=AuthConfig)
    allowed_origins: tuple[str, ...] = key(
        TextList("text or list of text", check_origin, commas=True),
        "Web pages, besides those that come from this server, that may use it: `https://app.example`.",
        default=(),
    )
    allowed_hosts: tuple[str, ...] = key(
        TextList("text or list of text", check_host_name, commas=True),
        "Names, besides `localhost` and the machine's own, by which browsers may reach it while there are no "
        "tokens: `build.example`.",
        default=(),
    )
    tls: TlsConfig = key(TLS, "Encryption.", default=TlsConfig)
    audit_file: str = key(
        Text("path"),
        "A file to which is appended who asked to start, stop or change what, and whether it was allowed, "
        "as lines of JSON.",
        default="",
    )
    log_file: str = key(
        Text("path"), "A file to which every event of a task is appended as a line of JSON.",
        default="", env="OVERSEER_LOG_FILE",
    )  # fmt: skip
    db: str = key(
        Text("path"), "Accepted for drivers that keep a database; the server itself opens none.",
        default="", env="OVERSEER_DB",
    )  # fmt: skip
    templates: str = key(
        Choice("go", "jinja"),
        "What `[[ ]]` in a command line is written in: Go's templates (`go`) or Jinja's syntax (`jinja`); "
        "see [TEMPLATES.md](TEMPLATES.md).",
        default="go",
    )
    task_pool: PoolConfig = key(
        POOL, "How many tasks run at once and what becomes of the rest.", default=PoolConfig
    )
    retry: RetryPolicy = key(
        RETRY, "Restarts, for every action that does not say otherwise.", default=RetryPolicy
    )
    actions: Mapping[str, ActionConfig] = key(Named(ACTION), "What clients can start, by name.", default=dict)
    clients: ClientsConfig = key(Section(ClientsConfig), "Slow clients.", default=ClientsConfig)
    history: HistoryConfig = key(Section(HistoryConfig), "Finished tasks.", default=HistoryConfig)
    limits: LimitsConfig = key(Section(LimitsConfig), "Bounds on clients and lines.", default=LimitsConfig)

    warnings: tuple[str, ...] = ()
    unknown: tuple[ConfigError, ...] = field(default=(), repr=False, compare=False)
    file: str = ""
    # The file as it was read, to find lines by.
    tree: Node | None = field(default=None, repr=False, compare=False)

    def retry_for(self, action: str) -> RetryPolicy:
        """The policy of ``action``: its own over the top level's, fields that are not zero win.

        Empty: no restarts. An empty ``restart_on`` means ``failure`` here, for it comes from a config.

        Raises:
            KeyError: there is no such action.
        """
        return self.actions[action].retry.merged_over(self.retry)

    def pool_for(self, action: str) -> PoolConfig:
        """The pool of ``action``, with the server's queue where it has none.

        Without a ``task_pool`` it has no limit of its own (0) and the server's ``excess``.

        Raises:
            KeyError: there is no such action.
        """
        own = self.actions[action].task_pool
        if own is None:
            return replace(self.task_pool, limit=0)
        return own if own.queue is not None else replace(own, queue=self.task_pool.queue)

    def line_of(self, path: Path) -> int:
        """The line (from 1) of the key at ``path``, or of the deepest part of it that is in the file."""
        return line_of(self.tree, path)

    def placed(self, error: ConfigError, *prefix: str | int) -> ConfigError:
        """``error``, raised with a path relative to ``prefix``, with file, line and whole path.

        For a driver's: ``config.placed(error, "actions", name, "config")``. A ConfigErrors stays one.
        """
        if isinstance(error, ConfigErrors):
            return ConfigErrors([self.placed(each, *prefix) for each in error.errors])
        path = (*prefix, *error.path)
        return error.placed(path=path, file=self.file, line=self.line_of(path))


def _config(read: Config, spot: Spot) -> Config:
    return replace(read, listen=read.listen or ":8080", trusted_cidrs=read.trusted_cidrs or None)


ROOT = Section(Config, _config, stray=" (keys that begin with x- are yours, for anchors and notes)")
