"""The configuration as the rest of the program sees it, and the declaration of most of the file's keys."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from overseer.auth.origins import check_host_name, check_origin
from overseer.config.chains import THEN, ThenConfig
from overseer.config.cluster import config_by_type
from overseer.config.key_hints import hints_at
from overseer.config.limits import ClientsConfig, HistoryConfig, LimitsConfig
from overseer.config.listen import parse_cidrs, parse_listen
from overseer.config.notices import CHANNEL, NOTIFY, ChannelConfig, NotifyConfig
from overseer.config.pools import POOL
from overseer.config.presentation import PRESENTED, Presentation
from overseer.config.probes import HEALTH, READY, HealthConfig, ReadyConfig, booleans_of_action, check_probes
from overseer.config.retry import RETRY
from overseer.config.secrets import SOURCE, SecretSource
from overseer.config.security import AUTH, TLS, AuthConfig, FileMode, TlsConfig
from overseer.config.standing import STANDING, StandingTask
from overseer.config.storage import StorageConfig
from overseer.config.webhooks import WEBHOOK, WebhookConfig
from overseer.errors import ConfigError
from overseer.protocol import SUCCESS_CODES, PoolConfig, RetryPolicy
from overseer.schema.fields import declared, field
from overseer.schema.location import ConfigErrors, Location, Path
from overseer.schema.nodes import Node, line_of
from overseer.schema.objects import ListOf, MapOf, Object
from overseer.schema.quantities import SECONDS, ExitCodes
from overseer.schema.types import BOOLEAN, TEXT, Choice, Document, Json, Signal, Text, TextList
from overseer.util.hashes import sha256
from overseer.util.once import Once

_LAST_EXIT_CODE = 255  # of a process; a driver's may be greater

@declared()
class MetaConfig:
    """``meta`` of an action."""

    description: str = field(TEXT, "What the action does, as `describe` shows it.", default="")


class DriverConfig(Document):
    """A driver's ``config``, which it reads itself."""


@declared()
class ActionConfig(Presentation):
    """One action.

    ``config`` is the driver's business: a dict of dict, list, str, bool, None, TextInt and TextFloat.
    ``retry`` is the action's own, see ``Config.retry_for``; ``success_codes`` is empty for the usual.
    """

    name: str
    type: str = field(
        TEXT, "The driver that runs it: `exec`, or one of those that `--list-handlers` lists.",
        missing='say which driver runs this action, for example "type: exec"',
    )  # fmt: skip
    config: Mapping[str, Any] = field(
        DriverConfig(), "The driver's settings; see its documentation, for `exec` below.", default=dict
    )
    description: str = field(TEXT, "What the action does, as `describe` shows it.", default="")
    meta: MetaConfig = field(Object(MetaConfig), "Another place for the `description`.", default=MetaConfig)
    task_pool: PoolConfig | None = field(
        POOL, "A pool of its own inside the server's; the same keys as at the top level.", default=None
    )
    retry: RetryPolicy = field(
        RETRY, "Merged over the top-level `retry`, the same keys.", default=RetryPolicy
    )
    dedupe_key: tuple[str, ...] = field(
        TextList("text or list of text", commas=False),
        "Names of parameters: a start is refused while a task with the same values of all of them is queued "
        "or active.",
        default=(),
    )
    strict_params: bool = field(
        BOOLEAN,
        "Whether a start that gives a parameter which the action does not declare is refused.",
        default=False,
    )
    kill_mode: str = field(
        Choice("tree", "group", "leader"),
        "What a stop ends: every process recognised as the task's (`tree`), its process group (`group`) or "
        "its first process alone (`leader`).",
        default="tree",
    )
    stop_signal: str = field(Signal(), "The signal that asks the task to end.", default="SIGTERM")
    stop_grace: float = field(SECONDS, "Time between that signal and SIGKILL.", default=5.0)
    timeout: float = field(
        SECONDS,
        "How long a run may last. One that lasts longer is stopped, and has failed whatever its exit code. "
        "0: unlimited.",
        default=0.0,
        default_text="none",
    )
    success_codes: tuple[int, ...] = field(
        ExitCodes(),
        "The exit codes of a success; any other, and a signal, is a failure, after which `retry` restarts "
        "the task.",
        default=(),
        default_text="`[0]`",
    )
    on_boot: str = field(
        Choice("none", "resume"),
        "What the next server does with a task that was running or queued when this one ended: nothing "
        "(`none`), or start it with the same id, parameters and retry policy (`resume`). Needs a "
        "`data_dir`. A task with a secret parameter is not started again: secrets are not stored.",
        default="none",
    )
    then: ThenConfig | None = field(
        THEN, "What is started when one of its tasks is over; see [CHAINS.md](CHAINS.md).", default=None
    )
    ready: ReadyConfig | None = field(
        READY, "When a run of it counts as ready; see [PROBES.md](PROBES.md).", default=None
    )
    health: HealthConfig | None = field(
        HEALTH, "How to probe whether a run still works; see [PROBES.md](PROBES.md).", default=None
    )
    _digest: Once[str] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_digest", Once(self._hash))

    @property
    def probed(self) -> bool:
        """Whether its runs are probed."""
        return self.ready is not None or self.health is not None

    @property
    def digest(self) -> str:
        """A hash of the action's definition in the file."""
        return self._digest()

    def _hash(self) -> str:
        said = {
            each.name: getattr(self, each.name)
            for each in dataclasses.fields(self)
            if each.init and each.name not in PRESENTED and getattr(self, each.name) != each.default
        }
        plain = json.dumps(said, default=repr, sort_keys=True)
        return sha256(plain.encode("utf-8", "replace")).hexdigest()[:12]


def _action(read: ActionConfig, location: Location) -> ActionConfig:
    unusual = read.success_codes if read.success_codes != SUCCESS_CODES else ()
    return replace(read, description=read.description or read.meta.description, success_codes=unusual)


class _Action(Object):
    """An action; editors know the keys of ``config`` where a driver of ours runs it."""

    def from_yaml(self, node: Node, location: Location, **given: Any) -> Any:
        with booleans_of_action(node, location.report):
            action: ActionConfig = super().from_yaml(node, location, **given)
        if action.type == "exec":  # of which the file tells what parameters there are
            check_probes(action.config.get("parameters"), action.ready, action.health, location)
            for code in action.success_codes:
                if code > _LAST_EXIT_CODE:
                    location.at("success_codes").error(
                        f"no program ends with {code}: the greatest exit code is {_LAST_EXIT_CODE}"
                    )
        return action

    def yaml_schema(self) -> Json:
        return super().yaml_schema() | {"allOf": config_by_type()}


_DRIVERS = " (what is meant for the driver goes under `config`)"
ACTION = _Action(ActionConfig, _action, advice=_DRIVERS, hint=hints_at("action", ActionConfig))


@declared()
class Config:
    """A consistent configuration. ``file`` is its origin, ``""`` for none.

    ``trusted_cidrs`` is None for the automatic choice. ``warnings`` are plain lines with their location;
    ``unknown`` repeats those about unknown keys.
    """

    name: str = field(TEXT, "The server's name, the title of `/openapi.json`.", default="sticky-overseer")
    description: str = field(TEXT, "A sentence about it, shown there too.", default="")
    version: str = field(TEXT, "A version number of yours, shown there too.", default="")
    listen: str = field(
        Text("address", parse_listen), "Where clients connect, see [Addresses](#addresses).",
        default=":8080", env="OVERSEER_LISTEN",
    )  # fmt: skip
    trusted_cidrs: tuple[str, ...] | None = field(
        TextList("text or list of text", lambda text: parse_cidrs([text]), commas=True),
        "Networks (`10.0.0.0/8`) and addresses whose clients may connect; a list, or one text with commas. "
        "Empty: this machine and the networks its interfaces are in.",
        default=None, env="OVERSEER_TRUSTED_CIDRS", default_text="automatic",
    )  # fmt: skip
    socket_mode: int = field(
        FileMode(), "Permissions of a Unix socket's file: who may connect.", default=0o600
    )
    socket_group: str = field(
        TEXT, "The group of a Unix socket's file, by name or number; goes with a `socket_mode` of `0660`.",
        default="", default_text="the server's own",
    )  # fmt: skip
    auth: AuthConfig = field(AUTH, "Tokens and users, and what they may do.", default=AuthConfig)
    allowed_origins: tuple[str, ...] = field(
        TextList("text or list of text", check_origin, commas=True),
        "Web pages, other than this server's own, that may use it: `https://app.example`.",
        default=(),
    )
    allowed_hosts: tuple[str, ...] = field(
        TextList("text or list of text", check_host_name, commas=True),
        "Names, other than `localhost` and the machine's own, by which browsers may reach it while there are "
        "no tokens: `build.example`.",
        default=(),
    )
    tls: TlsConfig = field(TLS, "Encryption.", default=TlsConfig)
    audit_file: str = field(
        Text("path"),
        "The audit log: a file to which each request to start, stop or change something is appended as a "
        "line of JSON, with its sender and whether it was allowed.",
        default="",
    )
    log_file: str = field(
        Text("path"), "A file to which every event of a task is appended as a line of JSON.",
        default="", env="OVERSEER_LOG_FILE",
    )  # fmt: skip
    db: str = field(
        Text("path"), "Accepted for drivers that keep a database; the server does not open it.",
        default="", env="OVERSEER_DB",
    )  # fmt: skip
    data_dir: str = field(
        Text("path"),
        "A directory for what outlives the server: the history of runs, and the output of tasks. It is "
        "created, private to the server's user; its parent must exist. Absent: nothing is kept.",
        default="",
    )
    storage: StorageConfig = field(
        Object(StorageConfig), "How much of it is kept, and for how long.", default=StorageConfig
    )
    templates: str = field(
        Choice("go", "jinja"),
        "The language of `[[ ]]` in a command line: Go's templates (`go`) or Jinja's syntax (`jinja`); "
        "see [TEMPLATES.md](TEMPLATES.md).",
        default="go",
    )
    shutdown_timeout: float = field(
        SECONDS,
        "How long shutting down may take in all: each standing task is stopped once those that depend on it "
        "are over, and what is left in the end is killed.",
        default=0.0,
        default_text="the longest `stop_grace`, and two seconds more if tasks depend on others",
    )
    task_pool: PoolConfig = field(
        POOL, "How many tasks run at once, and what happens to the rest.", default=PoolConfig
    )
    retry: RetryPolicy = field(
        RETRY, "Restarts, for every action that does not say otherwise.", default=RetryPolicy
    )
    secrets: Mapping[str, SecretSource] = field(
        MapOf(SOURCE, what="a mapping of secrets", named=True),
        "Secrets for commands, by name, shown to nobody; each action names those that it gets.",
        default=dict,
    )
    actions: Mapping[str, ActionConfig] = field(
        MapOf(ACTION, named=True), "What clients can start, by name.", default=dict
    )
    tasks: Mapping[str, StandingTask] = field(
        MapOf(STANDING, what="a mapping of tasks", named=True),
        "Standing tasks, by name, which is their task_id.",
        default=dict,
    )
    channels: Mapping[str, ChannelConfig] = field(
        MapOf(CHANNEL, what="a mapping of channels", named=True),
        "Where notices go, by name; see [NOTICES.md](NOTICES.md).",
        default=dict,
    )
    notify: tuple[NotifyConfig, ...] = field(
        ListOf(NOTIFY), "Which notices are sent to which channels.", default=()
    )
    webhooks: Mapping[str, WebhookConfig] = field(
        MapOf(WEBHOOK, what="a mapping of webhooks", named=True),
        "What requests of other services to `/hooks/NAME` start, by name; see [WEBHOOKS.md](WEBHOOKS.md).",
        default=dict,
    )
    clients: ClientsConfig = field(Object(ClientsConfig), "Slow clients.", default=ClientsConfig)
    history: HistoryConfig = field(Object(HistoryConfig), "Finished tasks.", default=HistoryConfig)
    limits: LimitsConfig = field(Object(LimitsConfig), "Bounds on clients and lines.", default=LimitsConfig)

    warnings: tuple[str, ...] = ()
    unknown: tuple[ConfigError, ...] = dataclasses.field(default=(), repr=False, compare=False)
    file: str = ""
    # The file's bytes, for another program to read; None: there was no file.
    source: bytes | None = dataclasses.field(default=None, repr=False, compare=False)
    # The file as it was read, to find lines by.
    tree: Node | None = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that are removed from the server's environment: tokens and secrets."""
        return (*self.auth.variables, *self.secret_variables)

    @property
    def secret_variables(self) -> tuple[str, ...]:
        return tuple(source.env for source in self.secrets.values() if source.env)

    def retry_for(self, action: str) -> RetryPolicy:
        """The policy of ``action``: its own over the top level's, fields that are not zero win.

        Empty: no restarts. An empty ``restart_on`` means ``failure`` here, for it comes from a config.

        Raises:
            KeyError: there is no such action.
        """
        return self.actions[action].retry.merged_over(self.retry)

    def standing_retry(self, task: StandingTask) -> RetryPolicy:
        """The policy of a standing task: its own over its action's."""
        return task.retry.merged_over(self.retry_for(task.action))

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
        """``error``, whose path is relative to ``prefix``, with file, line and whole path: for a driver's,
        ``config.placed(error, "actions", name, "config")``. A ConfigErrors stays one."""
        if isinstance(error, ConfigErrors):
            return ConfigErrors([self.placed(each, *prefix) for each in error.errors])
        path = (*prefix, *error.path)
        return error.placed(path=path, file=self.file, line=self.line_of(path))


def _config(read: Config, location: Location) -> Config:
    return replace(read, listen=read.listen or ":8080", trusted_cidrs=read.trusted_cidrs or None)


_OURS = " (keys that begin with x- are yours, for anchors and notes)"
ROOT = Object(Config, _config, advice=_OURS, hint=hints_at("top level", Config))
