"""A server's answers as tables and text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from overseer.ctl.columns import cut_middle, fit, table
from overseer.ctl.naming import shortened
from overseer.ctl.statuses import coloured, exit_of, signed
from overseer.ctl.terminal import Style, plain
from overseer.ctl.times import ago, so_far, took
from overseer.protocol import ActionInfo, ParamSpec, PoolConfig, PoolInfo, TaskInfo, TaskUsage, Then
from overseer.util.durations import format_duration

_TASKS = (
    "ID", "ACTION", "STATUS", "EXIT", "RAN", "SINCE",
    "CPU", "MEMORY", "PID", "RESTARTS", "HOST", "PARAMETERS",
)  # fmt: skip
_CUTS = {"ID": cut_middle, "ACTION": fit, "PARAMETERS": fit}
# Least needed first.
_SPARE = ("RESTARTS", "PID", "PARAMETERS", "HOST", "RAN", "EXIT", "SINCE", "MEMORY", "CPU")
_VALUE, _VALUES = 30, 80  # columns for one value, and for all of a task's


def tasks_table(
    tasks: Sequence[TaskInfo],
    moment: datetime,
    style: Style,
    columns: int | None = None,
    usage: Mapping[str, TaskUsage] | None = None,
    *,
    whole: bool = False,
) -> list[str]:
    """A heading and a line for each task; ``moment`` is now.

    With ``usage``, what each uses is shown too. ``whole``: ids and parameters are not shortened.
    """

    def paint(row: int, name: str, text: str) -> str:
        task = tasks[row]
        if name == "STATUS":
            if task.health == "unhealthy":
                return style.failure(text)
            return coloured(text, task.status, style)
        return style.failure(text) if name == "EXIT" and _failed(task) else text

    hidden = {"CPU", "MEMORY"} if usage is None else set()
    if not any(task.host for task in tasks):
        hidden.add("HOST")
    at = [index for index, name in enumerate(_TASKS) if name not in hidden]
    shown = str if whole else shortened(task.task_id for task in tasks)
    used = usage or {}
    rows = [_TASKS, *(_row(task, moment, style, shown, whole, used.get(task.task_id)) for task in tasks)]
    rows = [tuple(row[index] for index in at) for row in rows]
    return table(rows, columns, cuts=_CUTS, spare=_SPARE, heading=style.heading, paint=paint)


def _used(usage: TaskUsage | None) -> tuple[str, str]:
    if usage is None:
        return "-", "-"
    return "-" if usage.cpu is None else f"{usage.cpu:.1f}%", memory(usage.rss)


def memory(size: float) -> str:
    """Bytes as people read them: 512 B, 1.5 MiB."""
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        del units[0]
    return f"{size:.0f} {units[0]}" if units[0] == "B" or size >= 100 else f"{size:.1f} {units[0]}"


def _row(
    task: TaskInfo,
    moment: datetime,
    style: Style,
    shown: Callable[[str], str],
    whole: bool,
    usage: TaskUsage | None,
) -> tuple[str, ...]:
    running = task.worker_state == "running"
    status = signed(task.status, style)
    since = task.last_started_at if running else task.last_exited_at
    return (
        name_of(shown(task.task_id)),
        name_of(task.action),
        f"{status}, unhealthy" if task.health == "unhealthy" else status,
        "-" if running else exit_of(task.reason, task.last_exit_code, task.last_signal),
        _ran(task, moment),
        ago(since or task.queued_at or task.created_at, moment),
        *_used(usage),
        str(task.current_pid) if running and task.current_pid else "-",
        str(task.restart_count),
        plain(task.host) or "-",
        params_of(task.params, whole=whole),
    )


def _ran(task: TaskInfo, moment: datetime) -> str:
    """How long its run goes on, or how long the latest one took."""
    if task.worker_state == "running" and task.last_started_at is not None:
        return so_far(task.last_started_at, moment)
    return took(task.duration_ms)


def _failed(task: TaskInfo) -> bool:
    """Whether its latest run is over, failed, and was not just stopped."""
    if task.worker_state == "running":
        return False
    return task.state == "errored" or (task.state != "stopped" and task.failed)


def params_of(params: Mapping[str, str], *, whole: bool = False) -> str:
    """Parameters, shortened unless ``whole``: a value may be a whole script."""
    shown = []
    for name, value in params.items():
        text = name_of(value if whole else value[:_VALUES]) if value else ""
        shown.append(f"{name_of(name)}={text if whole else fit(text, _VALUE)}")
    text = " ".join(shown)
    return (text if whole else fit(text, _VALUES)) or "-"


def name_of(text: str) -> str:
    """An id or name, quoted if it would upset the columns."""
    return plain(text) if text.isprintable() and text.split() == [text] else f'"{plain(text)}"'


def actions_table(actions: Sequence[ActionInfo], columns: int | None = None) -> list[str]:
    rows = [("ACTION", "PARAMETERS", "DESCRIPTION")]
    for action in actions:
        params = []
        for name, spec in action.params.items():
            default = None if spec is None else spec.default
            params.append(name_of(name) if default is None else f"[{name_of(name)}={plain(default)}]")
        rows.append((name_of(action.name), " ".join(params) or "-", plain(action.description)))
    return table(rows, columns, cuts={"ACTION": cut_middle, "PARAMETERS": fit, "DESCRIPTION": fit})


def _then_lines(then: Then) -> list[str]:
    """What follows the end of a task."""
    return [
        f"  {when}: starts {name_of(each.action)}{f' {params_of(each.params)}' if each.params else ''}"
        for when, following in (
            ("after a success", then.success),
            ("after a failure", then.failure),
            ("after either", then.any),
        )
        for each in following
    ]


_SHOWN = ("title", "icon", "group", "confirm")


def action_lines(action: ActionInfo) -> list[str]:
    """One action in full."""
    lines = [f"{name_of(action.name)} ({plain(action.type)})"]
    if action.description:
        lines.append(f"  {plain(action.description)}")
    lines += [f"  {key}: {plain(text)}" for key in _SHOWN if (text := getattr(action, key))]
    if action.hidden:
        lines.append("  the page does not offer it")
    for name, spec in action.params.items():
        lines += _param_lines(name, spec or ParamSpec())
    if action.dedupe_key:
        lines.append(f"  not twice at once for the same {', '.join(map(name_of, action.dedupe_key))}")
    if action.retry is not None and not action.retry.empty:
        delay = format_duration(action.retry.restart_delay)
        if action.retry.grows:
            delay += f", growing {action.retry.restart_factor:g} times each time"
            if action.retry.restart_max_delay:
                delay += f" up to {format_duration(action.retry.restart_max_delay)}"
        lines.append(f"  restarted after {delay}; errored after {action.retry.error_threshold or 'no'} exits")
    if action.timeout_ms:
        lines.append(f"  stopped after {format_duration(action.timeout_ms * 1_000_000)}, which is a failure")
    if action.on_boot == "resume":
        lines.append("  started again by the next server, if it was running when this one ends")
    if action.then is not None:
        lines += _then_lines(action.then)
    if action.success_codes:
        lines.append(f"  succeeds with exit code {', '.join(map(str, action.success_codes))}")
    probes = {"ready": action.ready, "health": action.health}
    shown = {name: value for name, value in probes.items() if value} | {**action.settings}
    lines += [f"  {name}: {plain(value)}" for name, value in shown.items()]
    pool = action.task_pool
    lines.append(f"  pool: {pool.limit or 'no limit'}{_queue(pool)}")
    return lines


def _queue(pool: PoolConfig) -> str:
    if pool.queue is None:  # as the server's
        return ""
    return f", queue: {pool.queue.size or 'no limit'}" if pool.queue.enabled else ", no queue"


def _param_lines(name: str, spec: ParamSpec) -> list[str]:
    """A parameter: its type and default in a line, and below it what it is for and what else must hold."""
    if spec.default is None:
        text = "required"
    else:
        quote = "" if spec.type in ("integer", "number", "boolean") and spec.default else '"'
        text = f"default {quote}{plain(spec.default)}{quote}"
    if spec.type != "text" and not spec.choices:
        text = f"{plain(spec.expected)}, {text}"
    if spec.validate and not spec.message:
        text += f", must satisfy: {plain(spec.validate)}"
    lines = [f"  {name_of(name)}: {text}"]
    more = [spec.description, spec.message]
    if spec.pattern and not spec.message:
        more.append(f"must match {spec.pattern}")
    more += [f"{each.value}  {each.title}".rstrip() for each in spec.choices]
    return [*lines, *(f"      {plain(line)}" for each in more for line in each.splitlines())]


def pool_lines(name: str, pool: PoolInfo, moment: datetime, columns: int | None = None) -> list[str]:
    limit = f" of {pool.limit}" if pool.limit else ""
    ends = "" if pool.limit else " (no limit)"
    lines = [f"{plain(name) or 'server'}: {pool.running} running{limit}, {pool.queue_depth} queued{ends}"]
    if pool.queue_items:
        rows = [("", "ID", "ACTION", "QUEUED")]
        shown = shortened(item.task_id for item in pool.queue_items)
        rows += [
            (
                str(item.position + 1),
                name_of(shown(item.task_id)),
                name_of(item.action),
                ago(item.queued_at, moment),
            )
            for item in pool.queue_items
        ]
        lines += table(rows, columns, cuts={"ID": cut_middle, "ACTION": fit}, spare=("QUEUED",))
    return lines
