"""Other programs' names for what is configured here: what is said when somebody uses one.

Each table has sentences, and the words that each answers; how these are spelled does not matter:
``max_children``, ``maxChildren`` and ``MaxChildren`` are the same word.
"""

from __future__ import annotations

__all__ = ["ANYWHERE", "BY_LEVEL"]

_CONFIG = "under an action's `config`"
_ACTION = "of an action"
_TASK = "of a task, under `tasks`"
_RETRY = "under `retry`"

# At the levels at which people have to guess the level: the top of the file, an action, its config, a task.
ANYWHERE = {
    # Programs, and what they are given.
    f"a program is `entrypoint`, and its arguments are `command`, {_CONFIG}": (
        "cmd exec exec_start program script executable run"
    ),
    f"a shell's line is `entrypoint: sh` with `command: [-c, LINE]`, {_CONFIG}": "shell shell_command",
    f"arguments are `command`, a list, {_CONFIG}": "args argv",
    f"a program's arguments are `command`, and what clients fill in is `parameters`, {_CONFIG}": "arguments",
    f"the interpreter is `entrypoint`, its own arguments and its script are `command`, {_CONFIG}": (
        "interpreter interpreter_args node_args"
    ),
    f"the directory is `cwd`, {_CONFIG}": "working_dir working_directory workdir directory chdir dir",
    f"variables are `env`, {_CONFIG}": "environment environ env_vars envs variables",
    f"files of variables are `env_file`, {_CONFIG}": "env_files environment_file envfile dotenv",
    f"there is one `env`: what differs between machines is in an `env_file`, {_CONFIG}": (
        "env_production env_development env_staging env_test env_prod env_dev"
    ),
    f"the user is `user`, and the group `group`, {_CONFIG}": "uid gid setuid run_as supplementary_groups",
    f"a terminal is `stdin: pty`, and input is `stdin: pipe`, {_CONFIG}": (
        "tty is_tty interactive stdin_open standard_input"
    ),
    "programs stay in the foreground, and have no pid files": (
        "daemon nodaemon is_daemon daemonize pid_file"
    ),
    # Restarts.
    "restarts are `retry`, as in retry: {restart_delay: 1s, error_threshold: 5}": (
        "restart restart_policy autorestart keepalive availability"
    ),
    f"after how many failures it is given up is `error_threshold`, {_RETRY}": (
        "startretries max_restarts max_retries retries start_limit_burst"
    ),
    f"the time in which failures count is `error_window`, {_RETRY}": (
        "start_limit_interval start_limit_interval_sec"
    ),
    f"the time before a restart is `restart_delay`, {_RETRY}": (
        "restart_sec retry_delay backoff backoff_seconds"
    ),
    f"delays grow by `restart_factor` to `restart_max_delay`, {_RETRY}": (
        "exp_backoff_restart_delay restart_steps restart_max_delay_sec"
    ),
    f"`restart_on`, {_RETRY}, and `success_codes`, {_ACTION}, say which exits restart it": (
        "restart_prevent_exit_status restart_force_exit_status"
    ),
    f"each failed run counts, however short; after one as long as `restart_reset`, {_RETRY}, delays start "
    "over": "startsecs min_uptime",
    f"the exit codes of a success are `success_codes`, {_ACTION}": (
        "exitcodes success_exit_status stop_exit_codes"
    ),
    # Stops.
    f"the time between a stop and SIGKILL is `stop_grace`, {_ACTION}": (
        "stopwaitsecs stop_grace_period kill_timeout stop_timeout timeout_stop_sec timeout_sec"
    ),
    f"the signal of a stop is `stop_signal`, {_ACTION}": "kill_signal",
    f"`stop_signal` and `stop_grace`, {_ACTION}, say how it is stopped; no command is run": (
        "shutdown exec_stop"
    ),
    f"what a stop ends is `kill_mode`, {_ACTION}": "stopasgroup killasgroup treekill",
    f"how long a run may last is `timeout`, {_ACTION}": "runtime_max_sec max_run_time",
    "a signal is sent by `overseerctl signal`": "exec_reload reload_signal",
    # Probes.
    f"probes are `health` and `ready`, {_ACTION}": (
        "healthcheck liveness_probe readiness_probe startup_probe probe probes"
    ),
    f"a line that says that it is ready is `ready: {{log: REGEX}}`, {_ACTION}": "ready_log_line",
    f"a program that says when it is ready has `ready: {{notify: true}}`, {_ACTION}": (
        "wait_ready notify_access"
    ),
    f"how long it may take to become ready is `ready: {{timeout: …}}`, {_ACTION}": (
        "listen_timeout timeout_start_sec launch_timeout_seconds"
    ),
    f"`health`, {_ACTION}, takes the place of a watchdog": "watchdog watchdog_sec",
    # When things start, and what follows.
    f"times are `schedule: {{cron: …}}` {_TASK}": (
        "cron crontab cron_restart every timing exec_on_cron on_calendar on_unit_active_sec"
    ),
    f"runs that were missed are `missed` of the `schedule` {_TASK}": "catch_up persistent",
    f"a random delay is `jitter` of the `schedule` {_TASK}": "randomized_delay_sec stagger",
    f"one start at a given time is `schedule: {{at: …}}` {_TASK}": "delay delayed stash stashed",
    f"the order is `depends_on` {_TASK}; queued tasks are moved by `overseerctl move`": (
        "priority after before requires wants binds_to part_of dependencies depends"
    ),
    f"what is started with the server is `autostart` {_TASK}": (
        "enabled disabled exec_on_startup on_boot_sec wanted_by"
    ),
    f"what follows an end is `then`, {_ACTION}; `notify`, at the top level, says who hears of it": (
        "chain chain_error triggers on_success on_failure on_exit callback shell_after_completed "
        "notify_success notify_fail web_hook web_hook_start mailto email"
    ),
    f"there are no hooks: what comes before is a task that `depends_on` awaits, what comes after is `then`, "
    f"{_ACTION}": (
        "hooks exec_start_pre exec_start_post exec_stop_post pre_start post_start pre_stop post_stop"
    ),
    "requests that start something are `webhooks`, at the top level": "exec_on_webhook",
    "files are not watched: `overseerctl restart` starts a task again": (
        "watch ignore_watch watch_delay exec_on_file_changed_in_dir exec_on_file_created_in_dir"
    ),
    # How many, and how much.
    "each process is a task of its own: start an action several times, or name tasks under `tasks`": (
        "numprocs numprocs_start processes instances replicas scale multiplex"
    ),
    "it has no counterpart: each task is a process of its own": "exec_mode instance_var increment_var",
    "how many may run at once is `limit`, under `task_pool`": (
        "concurrency concurrent max_concurrent max_parallel parallel parallel_tasks default_parallel_tasks "
        "parallelism max_children pool workers"
    ),
    "how many may wait is `queue: {enabled: true, size: …}`, under `task_pool`": "queue_max max_queue",
    f"memory, CPU and processes are bounded by `cgroup: {{memory_max, cpu_max, pids_max}}`, {_CONFIG}": (
        "max_memory_restart mem_limit memory memory_limit memory_max memory_high memory_sustain "
        "cpus cpu_limit cpu_quota cpu_sustain tasks_max"
    ),
    f"limits are `rlimits: {{nofile: …}}`, {_CONFIG}": (
        "ulimit ulimits limit_nofile limit_nproc limit_core minfds minprocs"
    ),
    # Output.
    "output is kept in the `data_dir` of the top level, where `storage` says how much of it": (
        "stdout_logfile stderr_logfile stdout_logfile_maxbytes stderr_logfile_maxbytes "
        "stdout_logfile_backups stderr_logfile_backups logfile logfile_maxbytes childlogdir log logs "
        "logging out_file error_file log_dir log_location log_configuration log_length log_max_size "
        "save_logs combine_logs merge_logs log_date_format standard_output standard_error"
    ),
    f"both streams as one are `output: {{merge: true}}`, {_CONFIG}": "redirect_stderr",
    # The rest.
    "programs are `actions`, and those that always run are named under `tasks`, too": (
        "programs services apps jobs commands"
    ),
    f"what belongs together has the same `group`, {_ACTION}: a heading on the page": (
        "groups namespace namespaces category categories dashboards label labels tags"
    ),
    f"entities become the `choices` of a parameter, {_CONFIG}, or a task each, under `tasks`": (
        "entity entities"
    ),
    "there is one file, and nothing is included in it": "include includes extends",
    "this runs programs of this machine, and no containers": (
        "image build container container_name volumes ports networks"
    ),
    "programs run on this machine, or, with `type: dask`, on those of a cluster": "target targets hosts",
    f"nothing is sandboxed: use `bwrap` as the `entrypoint`, {_CONFIG}, or harden the server's own unit": (
        "private_tmp protect_system protect_home no_new_privileges capability_bounding_set"
    ),
    "the address is `listen`, as in listen: 127.0.0.1:8080": (
        "host port bind address inet_http_server unix_http_server serverurl listen_address "
        "listen_address_single_http_frontend"
    ),
    f"secrets are `secrets`, at the top level, and given as `env` or `secret_files`, {_CONFIG}": (
        "load_credential credentials passwords"
    ),
    "what happens is told by `notify`, at the top level, and shown by `overseerctl events`": (
        "event_listener events"
    ),
    "who may do what is `auth`, at the top level": (
        "tokens users password username acls access_control_lists permissions default_permissions policy "
        "auth_local_users"
    ),
}

_NAME = {"its name is its key": "name id process_name"}

# At one level, where a word means something of its own.
BY_LEVEL = {
    "top level": {
        "programs are `actions`, and those that always run are named under `tasks`, too": "processes",
    },
    "action": _NAME | {
        f"the group that it runs as is `group`, {_CONFIG}": "group",
        f"parameters are `parameters`, {_CONFIG}": "params",
        f"what follows a failure is `then: {{failure: …}}`, {_ACTION}": "on_failure",
    },
    "task": _NAME,
    "retry": {
        "after how many failures it is given up is `error_threshold`": (
            "max_restarts restarts startretries max_retries retries max_attempts attempts limit max count "
            "burst"
        ),
        "the time before a restart is `restart_delay`": (
            "delay wait initial backoff backoff_seconds restart_sec exp_backoff_restart_delay"
        ),
        "the time in which failures count is `error_window`": "interval window period",
        "which exits restart it is `restart_on`: failure or any": "restart policy mode on when condition",
        "by how much delays grow is `restart_factor`": "exponential multiplier factor steps",
        "after how long a run the delays start over is `restart_reset`": (
            "min_uptime startsecs reset reset_after"
        ),
    },
    "pool": {
        "how many may run at once is `limit`": (
            "parallel parallel_tasks concurrency concurrent max_concurrent max workers slots max_children"
        ),
        "how many may wait is `queue: {enabled: true, size: …}`": "queue_max max_queue max_size enabled",
        "how long one may wait is `queue: {max_age: …}`": "timeout max_age",
    },
    "schedule": {
        "a period is `every`": "interval period minutes hours days seconds on_unit_active_sec",
        "five fields of cron are `cron`": (
            "crontab expression cron_expression schedule timing on_calendar weekdays months minute hour"
        ),
        "a single time is `at`": "date time run_at once",
        "the time zone is `timezone`": "tz cron_tz zone",
        "what was missed is `missed`: once, skip or all": (
            "catch_up persistent starting_deadline_seconds misfire misfire_grace_time"
        ),
        "what happens to a start while the task still runs is `overlap`": (
            "max_concurrent max_instances concurrency concurrency_policy prohibit_overlap singleton"
        ),
        "a random delay is `jitter`": "random_delay randomized_delay_sec stagger accuracy_sec",
        "what is off has `enabled: false`": "suspend disabled paused",
        "what is started with the server has `autostart: true`, beside `schedule`": (
            "run_on_start on_boot_sec on_startup_sec"
        ),
    },
    "probe": {
        "it is one URL: `http: http://HOST:PORT/PATH`": "http_get url host port path scheme",
        "an address is `tcp: HOST:PORT`": "tcp_socket socket address",
        "a program is a list: `exec: [PROGRAM, ARGUMENT, …]`": "command cmd test script exec_command",
        "the time from one probe to the next is `interval`": "period period_seconds",
        "the time before which failures do not count is `start_period`, of `health`; `ready` needs none": (
            "initial_delay initial_delay_seconds grace grace_period start_interval start_period"
        ),
        "how often it has to fail is `failures`, of `health`": (
            "retries failure_threshold unhealthy_threshold failures"
        ),
        "how often it has to pass is `successes`, of `health`": (
            "success_threshold healthy_threshold successes"
        ),
        "what happens to an unhealthy run is `on_failure`, of `health`": "restart on_unhealthy on_failure",
        "any status from 200 to 399 passes": "status status_code",
        "what a run says is `log`, of `ready`": "ready_log_line log_line log",
    },
    "parameter": {
        "the only values allowed are `choices`": "options values enum allowed",
        "`choices` are the only values allowed: none are merely suggested": "suggestions",
        "what people read is `description`": "title label name help placeholder hint",
        "it has to be given unless it has a `default`": "required optional",
        "an expression is `pattern`, and what is said in its place `message`": "regex regexp format error",
        "a password is `type: secret`": "hidden secret password sensitive",
        "an empty value is refused by `pattern`, as in pattern: .+": (
            "reject_null not_empty non_empty allow_empty"
        ),
    },
    "channel": {
        "an address is `webhook`": "url uri hook endpoint",
        "a program is `exec`, a list": "command cmd script program",
        "it is a `webhook` with a `body`, or a program, `exec`": (
            "email mail smtp slack discord telegram teams ntfy gotify apprise"
        ),
        "the keys `webhook` and `exec` say which of the two it is": "type kind",
    },
    "rule": {
        "what is told is `on`": "events event when conditions",
        "who is told is `to`": "channels channel targets",
    },
}  # fmt: skip
