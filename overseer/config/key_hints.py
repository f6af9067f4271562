"""Unknown keys that mean something: ours in the wrong place, and other programs' names for ours.

The levels are those at which people guess: the top level of the file, an action, its ``config``, a standing
task. Each declares itself with :func:`hints_at`.
"""

from __future__ import annotations

from collections.abc import Callable

from overseer.schema.fields import Declared, fields_of

_CONFIG = "under an action's `config`"
# What to say, and of which keys: without capitals, and with _ for -.
_MEANINGS = {
    f"a program is `entrypoint`, and its arguments are `command`, {_CONFIG}": (
        "cmd exec execstart program script executable run"
    ),
    f"arguments are `command`, a list, {_CONFIG}": "args argv arguments",
    f"the interpreter is `entrypoint`, its script `command`, {_CONFIG}": "interpreter shell",
    "restarts are `retry`, as in retry: {restart_delay: 1s, error_threshold: 5}": (
        "restart restart_policy autorestart auto_restart keepalive"
    ),
    "after how many failures it is given up is `error_threshold`, under `retry`": (
        "startretries max_restarts max_retries retries"
    ),
    "it belongs under `retry`": (
        "restart_delay restart_jitter restart_factor restart_max_delay restart_reset restart_on "
        "error_threshold error_window"
    ),
    f"the directory is `cwd`, {_CONFIG}": "working_dir working_directory workdir directory chdir dir",
    f"variables are `env`, {_CONFIG}": "environment environ env_vars envs variables",
    f"files of variables are `env_file`, {_CONFIG}": "env_files environment_file envfile",
    "each process is a task of its own: start an action several times, or name tasks under `tasks`": (
        "numprocs num_procs processes instances replicas scale"
    ),
    "how many may run at once is `limit`, under `task_pool`": (
        "concurrency max_concurrent max_parallel parallelism pool workers"
    ),
    "output is kept in the `data_dir` of the top level, and how much of it says `storage` there": (
        "stdout_logfile stderr_logfile stdout_logfile_maxbytes stderr_logfile_maxbytes logfile log logs "
        "logging out_file error_file log_dir log_location"
    ),
    f"both streams as one are `output: {{merge: true}}`, {_CONFIG}": "redirect_stderr",
    "the time between a stop and SIGKILL is `stop_grace`, of an action": (
        "stopwaitsecs stop_grace_period kill_timeout stop_timeout"
    ),
    "the signal of a stop is `stop_signal`, of an action": "stopsignal kill_signal killsignal",
    "the exit codes of a success are `success_codes`, of an action": (
        "exitcodes exit_codes successexitstatus stop_exit_codes"
    ),
    "what a stop ends is `kill_mode`, of an action": "stopasgroup killasgroup treekill killmode",
    "a run that counts once it has lasted is `ready: {after: 1s}`, of an action": "startsecs min_uptime",
    "probes are `health` and `ready`, of an action": (
        "healthcheck health_check livenessprobe liveness_probe readinessprobe readiness_probe"
    ),
    "times are `schedule: {cron: …}` of a task, under `tasks`": "cron crontab cron_restart every",
    "the order is `depends_on` of a task, under `tasks`": "priority after requires wants",
    "what is started with the server is `autostart` of a task, under `tasks`": "enabled",
    "it has no counterpart: each task is a process of its own": "exec_mode",
    "it has no counterpart: `overseerctl restart` starts a task again": "watch",
    f"the most memory is `cgroup: {{memory_max: …}}`, {_CONFIG}": (
        "max_memory_restart mem_limit memory memory_limit"
    ),
    "programs are `actions`, and those that always run are named under `tasks`, too": (
        "programs services apps jobs commands"
    ),
    "this runs programs of this machine, and no containers": (
        "image build container container_name volumes ports networks"
    ),
    "the address is `listen`, as in listen: 127.0.0.1:8080": (
        "host port bind address inet_http_server unix_http_server"
    ),
    "who may do what is `auth`, at the top level": "tokens users password username",
}
_FOREIGN = {word: text for text, words in _MEANINGS.items() for word in words.split()}

_levels: dict[str, frozenset[str]] = {}
# Where a key is looked for, and what is said of one that is found there; the most likely place first.
_PLACES = {
    "top level": (
        ("action", "to an action, under `actions`"),
        ("config", _CONFIG),
        ("task", "to a standing task, under `tasks`"),
    ),
    "action": (
        ("config", "under `config`"),
        ("task", "to a standing task, under `tasks`"),
        ("top level", "at the top level"),
    ),
    "config": (
        ("action", "to the action, beside `config`"),
        ("task", "to a standing task, under `tasks`"),
        ("top level", "at the top level"),
    ),
    "task": (
        ("action", "to the action, under `actions`"),
        ("config", "to the action, under its `config`"),
        ("top level", "at the top level"),
    ),
}


def hints_at(level: str, cls: type[Declared]) -> Callable[[str], str]:
    """Declare a level, whose keys are the fields of ``cls``: a function that says what an unknown key there
    means, ``""`` if nothing."""
    _levels[level] = frozenset(spec.name for spec in fields_of(cls))

    def hint(name: str) -> str:
        for place, where in _PLACES[level]:
            if name in _levels.get(place, ()):
                return f"it belongs {where}"
        return _FOREIGN.get(name.lower().replace("-", "_"), "")

    return hint
