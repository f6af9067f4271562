"""The commands that start, stop and show tasks."""

from __future__ import annotations

from overseer.ctl.usage.commands import (
    TASK,
    Commands,
    chosen,
    filters,
    flag,
    limit,
    of_action,
    paging,
    task,
    tasks,
    times,
    yes,
)
from overseer.ctl.values import (
    RUN_STATUSES,
    count,
    length,
    most,
    nonempty,
    place,
    run_statuses,
    seconds,
    signal_name,
)
from overseer.protocol import EXIT_REASON


def add_starting(commands: Commands) -> None:
    commands.group("Start and stop")
    for name, help, more, examples in (
        (
            "run",
            "start a task, show its output and exit with its exit code",
            "Ctrl-C stops the task.",
            ("run build branch=main", "run -it shell", "run -i import < dump.sql"),
        ),
        ("start", "start a task and print its id", "", ("start build branch=main --id nightly", "start web")),
    ):
        command = commands.add(name, help, more, *examples)
        of = "an action of the server" + (", or one of its standing tasks" if name == "start" else "")
        command.add_argument("action", type=nonempty, metavar="ACTION", help=of)
        command.add_argument(
            "params",
            metavar="KEY=VALUE",
            nargs="*",
            default=[],
            help="a parameter of the action; KEY= makes it empty",
        )
        command.add_argument(
            "--id", type=nonempty, metavar=TASK, help="the task's id (default: a random one)"
        )
        flag(command, "--force", help="displace a queued task if the queue is full")
        command.add_argument(
            "--wait-for-room",
            type=seconds,
            metavar="TIME",
            help="if pool and queue are full, keep trying for this long, such as 90 or 10m",
        )
        yes(command)
        if name == "run":
            flag(command, "-i", "--interactive", help="pass stdin on to the task")
            flag(command, "-t", "--tty", help="attach this terminal to the task's, as attach does")
    command = commands.add(
        "stop",
        "stop tasks",
        "Asks first when tasks are chosen by options rather than named.",
        "stop web",
        "stop --action build --status queued",
        "stop --all --wait",
    )
    chosen(command, "stop all tasks that are not over", "stop")
    flag(command, "--wait", help="wait until they have ended")
    command = commands.add(
        "restart",
        "stop tasks and start them again",
        "Waits until they have started.",
        "restart web",
        "restart --action build --status failed",
    )
    chosen(command, "restart all tasks that run", "restart")
    command = commands.add(
        "move",
        "move queued tasks to another place in the queue",
        "Several tasks keep the order in which they are named.",
        "move deploy-7 --first",
        "move build-3 --before build-1",
        "move build-3 --up",
    )
    tasks(command)
    where = command.add_mutually_exclusive_group(required=True)
    flag(where, "--first", help="the next to start")
    flag(where, "--last", help="to the end of the queue")
    where.add_argument("--to", type=place, metavar="N", help="to this place, from 1")
    where.add_argument("--before", type=nonempty, metavar=TASK, help="right before this task")
    where.add_argument("--after", type=nonempty, metavar=TASK, help="right after this task")
    flag(where, "--up", help="one place up")
    flag(where, "--down", help="one place down")
    flag(
        command, "--within-action", help="move it only among tasks of its action; all others keep their turns"
    )
    tasks(commands.add("reset", "start errored tasks again", "", "reset web"))
    command = commands.add(
        "rm",
        "forget tasks that are over",
        "Their history and their logs are kept; overseerctl history and logs still show them.",
        "rm nightly",
        "rm --status succeeded --yes",
        aliases=("forget",),
    )
    chosen(command, "forget all tasks that are over", "forget")
    flag(command, "-f", "--force", help="stop those that are not over first")
    command = commands.add(
        "wait", "wait for tasks to end, and exit with the status of the first that failed", "", "wait build-7"
    )
    tasks(command)
    command.add_argument(
        "--timeout",
        type=seconds,
        metavar="TIME",
        help="at most this long, such as 90 or 1m30s (status 124)",
    )


def add_talking(commands: Commands) -> None:
    commands.group("Talk to a task")
    command = commands.add(
        "attach",
        "attach this terminal to a running task",
        "All keys go to the task, even Ctrl-C; Ctrl-P Ctrl-Q detaches. A task that reads a pipe is shown as "
        "with tail -f, and sent whole lines; Ctrl-D ends its input, and Ctrl-C detaches.",
        "attach shell",
    )
    task(command)
    command = commands.add(
        "input",
        "send input to a running task",
        "The words of TEXT make one line. A file is sent as fast as the task reads it.",
        "input guess 50",
        "input import --file dump.sql --eof",
    )
    task(command)
    command.add_argument("text", metavar="TEXT", nargs="*")
    flag(command, "-n", "--no-newline", help="no newline after TEXT")
    command.add_argument("--file", metavar="FILE", help="send a file's content; -: stdin's")
    flag(command, "--eof", help="then end the input (for a task with a terminal: send Ctrl-D)")
    command = commands.add("signal", "send a signal to tasks' process groups", "", "signal HUP web")
    command.add_argument(
        "signal", type=signal_name, metavar="SIGNAL", help="its name (HUP, SIGHUP) or number"
    )
    tasks(command)


def add_showing(commands: Commands) -> None:
    commands.group("See what is going on")
    command = commands.add(
        "list",
        "show the server's tasks",
        "",
        "list",
        "list --status failed,errored --since 1h",
        "list -q --action build",
        aliases=("ls", "ps"),
    )
    filters(command)
    times(command, since="only tasks started or ended since then, and queued ones")
    flag(command, "-q", "--quiet", help="only their ids, in full")
    flag(command, "--no-trunc", help="do not shorten ids and parameters")
    command.add_argument(
        "--limit", type=count, default=0, metavar="COUNT", help="at most this many, ordered by id (all)"
    )
    command.add_argument(
        "--after", default="", metavar=TASK, help="only ids after this one, for the next page"
    )
    command = commands.add(
        "top",
        "show tasks and pools, live",
        "Keys: up and down choose a task; s stops it, l shows its log, a attaches to it; c, m and t order by "
        "CPU, memory and time; / filters; q quits.",
        "top --sort cpu",
        "top --action build",
    )
    flag(command, "--once", help="print them once, as into a pipe")
    command.add_argument("--interval", type=seconds, default=2.0, metavar="TIME", help="between updates (2)")
    command.add_argument(
        "--sort",
        choices=("time", "cpu", "memory"),
        default="time",
        help="order of running tasks: the newest (time, the default) or the greediest first",
    )
    filters(command)
    command = commands.add(
        "history",
        "show current and earlier runs, the newest first",
        "For the output of one: overseerctl logs TASK --run RUN",
        "history web",
        "history --status failed --since yesterday",
        "history --by-action --since 7d",
        "history --action build --every 24h --since 7d",
        aliases=("runs",),
    )
    command.add_argument("task", type=nonempty, metavar=TASK, nargs="?", help="only this task's")
    of_action(command, "only this action's")
    command.add_argument(
        *("--status", "--state"),
        dest="state",
        type=run_statuses,
        metavar="STATUS[,STATUS]",
        help=f"only those that are {', '.join(RUN_STATUSES[:-1])} or {RUN_STATUSES[-1]} (failed too often)",
    )
    help = f"only those with this reason: {', '.join(EXIT_REASON.words)}"
    command.add_argument("--reason", choices=EXIT_REASON.words, metavar="REASON", help=help)
    times(command, since="only those started since then", until="only those started before then")
    limit(command, 20, most)
    flag(command, "-r", "--reverse", help="the oldest of them first")
    flag(command, "--by-action", help="summarize them for each action")
    help = "summarize them for each period of this length, from --since on"
    command.add_argument("--every", type=length, metavar="TIME", help=help)
    paging(command)
    command = commands.add("events", "show everything that happens as JSON lines", "", "events", "events web")
    tasks(command, "*", "default: all, present and future")
