"""A server's answers as tables and text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from overseer.ctl.columns import cut_middle, fit, table
from overseer.ctl.exit_status import rounded
from overseer.ctl.naming import shortened
from overseer.ctl.statuses import coloured, signed
from overseer.ctl.terminal import Style, plain
from overseer.protocol import ActionInfo, ParamSpec, PoolConfig, PoolInfo, TaskInfo, TaskUsage, Then
from overseer.util.durations import format_duration

_TASKS = ("ID", "ACTION", "STATUS", "EXIT", "RAN", "SINCE", "PID", "RESTARTS", "PARAMETERS")
_USED = ("CPU", "MEMORY")
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
    at = _TASKS.index("PID")
    heading = _TASKS if usage is None else (*_TASKS[:at], *_USED, *_TASKS[at:])
    somewhere = any(task.host for task in tasks)
    if somewhere:
        heading = (*heading[:-1], "HOST", heading[-1])
    status, exit_code = heading.index("STATUS"), heading.index("EXIT")

    def paint(row: int, cell: int, text: str) -> str:
        task = tasks[row]
        if cell == status:
            if task.health == "unhealthy":
                return style.failure(text)
            return coloured(text, task.status, style)
        return style.failure(text) if cell == exit_code and _failed(task) else text

    rows = [heading]
    shown = str if whole else shortened(task.task_id for task in tasks)
    for task in tasks:
        row = _row(task, moment, style, shown, whole)
        if somewhere:
            row = (*row[:-1], plain(task.host) or "-", row[-1])
        rows.append(row if usage is None else (*row[:at], *_used(usage.get(task.task_id)), *row[at:]))
    cuts = {0: cut_middle, 1: fit, heading.index("PARAMETERS"): fit}
    spare = [heading.index(name) for name in _SPARE if name in heading]
    return table(rows, columns, cuts=cuts, spare=spare, heading=style.heading, paint=paint)


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
    task: TaskInfo, moment: datetime, style: Style, shown: Callable[[str], str], whole: bool
) -> tuple[str, ...]:
    running = task.worker_state == "running"
    status = signed(task.status, style)
    since = task.last_started_at if running else task.last_exited_at
    return (
        name_of(shown(task.task_id)),
        name_of(task.action),
        f"{status}, unhealthy" if task.health == "unhealthy" else status,
        _exit(task),
        _ran(task, moment),
        ago(since or task.queued_at or task.created_at, moment),
        str(task.current_pid) if running and task.current_pid else "-",
        str(task.restart_count),
        params_of(task.params, whole=whole),
    )


def _ran(task: TaskInfo, moment: datetime) -> str:
    """How long its run goes on, or how long the latest one took."""
    if task.worker_state == "running" and task.last_started_at is not None:
        return rounded(max(0, int((moment - task.last_started_at).total_seconds())) * 1_000_000_000)
    return "-" if task.duration_ms is None else rounded(task.duration_ms * 1_000_000)


def _exit(task: TaskInfo) -> str:
    """How its latest run exited, once it has. (Older servers list neither the signal nor the reason.)"""
    if task.worker_state == "running":
        return "-"
    code = task.last_exit_code
    if task.reason not in ("", "exited", "signal", "stopped"):
        return plain(task.reason)
    if code == -1:
        return plain(task.last_signal) or "signal"
    return "-" if code is None else str(code)


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


def ago(then: datetime, moment: datetime) -> str:
    seconds = max(0, int((moment - then).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit} ago"
    return f"{seconds}s ago"


def actions_table(actions: Sequence[ActionInfo], columns: int | None = None) -> list[str]:
    rows = [("ACTION", "PARAMETERS", "DESCRIPTION")]
    for action in actions:
        params = []
        for name, spec in action.params.items():
            default = None if spec is None else spec.default
            params.append(name_of(name) if default is None else f"[{name_of(name)}={plain(default)}]")
        rows.append((name_of(action.name), " ".join(params) or "-", plain(action.description)))
    return table(rows, columns, cuts={0: cut_middle, 1: fit, 2: fit})


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
    lines = [f"{plain(name) or 'server'}: {pool.running} running{limit}, {pool.queue_depth} waiting{ends}"]
    if pool.queue_items:
        rows = [("", "ID", "ACTION", "WAITS SINCE")]
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
        lines += table(rows, columns, cuts={1: cut_middle, 2: fit}, spare=(3,))
    return lines
