"""Which tests hold the server to what docs/MIGRATING.md says; ``make migrating`` runs them.

The keys are the first cells of the tables' rows, and the texts of the lists' items under *Pools*; other
sections stand as a whole. The values are tests by their node ids.
"""

from __future__ import annotations

__all__ = ["PROOFS"]

_OWN = "tests/docs/test_migrating.py::"
_CONFIG = "tests/config/test_load.py::"
_E2E = "tests/e2e/"

PROOFS: dict[str, tuple[str, ...]] = {
    "In an afternoon": (
        "tests/docs/test_documents.py::test_every_block_works[docs/MIGRATING.md]",
        _E2E + "test_exec.py::test_a_config_as_its_users_write_it_runs_unchanged",
        _E2E + "test_daemon.py::test_flags_with_one_dash_or_two",
        _E2E + "test_daemon.py::test_an_unknown_key_fails_the_check_and_is_warned_of_by_a_lenient_one",
        _E2E + "test_daemon.py::test_the_environment_beats_the_file_and_the_flag",
    ),
    # Transport
    "`unix:PATH` is documented but does not work": (
        "tests/auth/test_unix.py::test_only_its_owner_may_open_the_file",
    ),
    "a message that is not JSON, or has a field of the wrong type, closes the connection": (
        _E2E + "test_bad_input.py::test_what_is_no_request_is_answered_and_the_connection_goes_on",
        _E2E + "test_bad_input.py::test_every_field_of_a_wrong_type_is_an_error_that_names_it",
    ),
    "keepalive": (
        _OWN + "test_clients_are_pinged_every_20_s_and_given_a_minute_more",
        "tests/net/test_websocket.py::test_a_client_that_does_not_answer_pings_is_closed",
    ),
    "`listen: stdio`": (
        _E2E + "test_daemon.py::test_stdio_serves_one_client_and_ends_when_it_and_its_tasks_are_done",
    ),
    "`trusted_cidrs` is a list": (
        _CONFIG + "test_trusted_networks_are_a_list_or_one_text",
        _CONFIG + "test_empty_text_means_the_default_address_and_the_automatic_trust",
    ),
    "texts are bytes": ("tests/faults/test_inherited.py::test_everything_is_utf8_whatever_the_locale_says",),
    "health checks": (_E2E + "test_daemon.py::test_http_paths",),
    # Messages
    "broadcasts first, changes its state later": (
        _E2E
        + "test_messages.py::test_once_exited_is_heard_the_place_and_the_id_are_free_and_all_counters_know",
        _E2E + "test_messages.py::test_whoever_hears_of_it_can_rely_on_it_at_once",
        _E2E + "test_messages.py::test_states_are_true_when_they_are_announced",
    ),
    "subscribes the sender after the spawn, and loses output of quick tasks": (
        _E2E + "test_runs.py::test_no_line_of_a_short_run_is_ever_lost_with_many_clients_at_once",
        _E2E + "test_pools.py::test_the_life_of_a_queued_task",
    ),
    "remembers finished tasks until it ends": (
        _CONFIG + "test_the_defaults",
        _E2E + "test_history.py::test_the_oldest_go_first_once_there_are_too_many_but_none_within_a_minute",
        _E2E + "test_history.py::test_the_old_go_and_what_runs_stays",
        _E2E + "test_run_history.py::test_what_a_shutdown_ended_says_so_and_seq_goes_on_exactly",
    ),
    "a client that reads slowly": (
        _CONFIG + "test_the_defaults",
        "tests/faults/test_clients.py::test_a_blocking_client_that_never_reads_is_cut_off_after_the_stall_timeout",
        "tests/faults/test_clients.py::test_a_dropping_client_that_never_reads_costs_its_task_nothing_and_is_told_exactly_what_it_missed",
        "tests/client/test_catch_up.py::test_a_slow_reader_gets_all_of_it_after_the_task_has_ended",
    ),
    "an id is used up once a task has had it": (
        _E2E + "test_runs.py::test_an_id_in_use_is_refused_and_a_finished_one_taken_over_as_a_new_task",
        _E2E + "test_run_history.py::test_seq_goes_on_with_the_next_task_of_that_id",
    ),
    "`dedupe_key` looks at running tasks": (
        _E2E + "test_messages.py::test_duplicates_of_what_waits_are_refused_too",
        "tests/drivers/test_services.py::test_what_it_submits_obeys_dedupe",
    ),
    "`set_pool` reads `limit`, its documents say `size`; an absent limit becomes 0": (
        _E2E + "test_pools.py::test_a_pool_s_size_and_excess_change_by_any_of_their_names",
        _OWN + "test_limit_wins_over_size_and_what_is_absent_stays",
    ),
    "`set_pool` for an unknown action succeeds": (
        _E2E + "test_bad_input.py::test_a_request_that_cannot_be_is_refused_in_plain_words",
    ),
    "stopping a task that awaits its restart says nothing": (
        _E2E + "test_retry.py::test_a_stop_while_waiting_calls_the_restart_off_and_says_so",
    ),
    "some `dequeued` come twice, in different words": (
        _E2E + "test_pools.py::test_a_stop_takes_a_task_off_the_queue_and_says_so_once_to_everyone",
        _E2E + "test_pools.py::test_purge_empties_a_queue_and_counts",
        _E2E + "test_pools.py::test_displacement_by_policy_and_by_force",
        _E2E + "test_pools.py::test_what_waits_too_long_expires",
        _E2E + "test_daemon.py::test_a_signal_ends_everything_in_order_and_exit_status_is_0",
    ),
    "stored events belong to the run": (_OWN + "test_stored_events_survive_restarts",),
    "`replay` by time only": (
        _E2E + "test_streams.py::test_resuming_by_seq_leaves_no_gap_and_repeats_nothing",
    ),
    "`reset` answers the sender only": (_E2E + "test_retry.py::test_a_reset_starts_an_errored_task_over",),
    "metrics count an errored exit twice, displaced and expired tasks never": (
        _E2E + "test_metrics.py::test_an_errored_task_counts_its_exits_restarts_lines_and_itself_once",
        _E2E + "test_metrics.py::test_what_goes_through_a_queue_counts_in_and_out",
    ),
    "ids of any length and content": (
        _E2E + "test_bad_input.py::test_without_an_id_a_request_is_refused_and_does_nothing",
        _OWN + "test_an_id_has_at_most_256_printable_characters",
    ),
    "a queue's `position`": (_OWN + "test_positions_count_from_1_in_queued_and_from_0_in_pool_info",),
    # Retries
    "Retries": (
        _E2E + "test_retry.py::test_a_policy_from_the_config_restarts_after_failures_only_unless_it_says_any",
        _E2E + "test_retry.py::test_a_policy_from_a_start_restarts_after_success_too",
        "tests/supervisor/test_retry.py",
        _CONFIG + "test_an_actions_retry_is_merged_over_the_servers",
    ),
    "a task that awaits its restart gives up its place in the pool": (
        _E2E + "test_retry.py::test_a_task_awaiting_restart_keeps_its_slot",
    ),
    "a restart that cannot be spawned is lost": (
        _E2E + "test_retry.py::test_a_program_that_vanishes_makes_restarts_fail_like_exits",
    ),
    "a delay of zero spins": (
        _E2E + "test_retry.py::test_a_zero_delay_restarts_at_once_and_then_slows_down",
    ),
    "`restart_jitter` is not merged": (
        _E2E + "test_retry.py::test_jitter_adds_up_to_itself_to_the_delay_and_merges_from_the_config",
    ),
    # Pools
    "No more tasks run than the limits say, except after a `reset`.": (
        _E2E + "test_pools.py::test_a_limit_is_never_overrun_by_clients_that_all_start_at_once",
        _E2E + "test_retry.py::test_a_reset_runs_over_the_limit_and_counts_as_running",
    ),
    "A raised limit admits waiting tasks at once.": (
        _E2E + "test_pools.py::test_raising_a_limit_lets_tasks_in_at_once_and_everyone_hears_of_it_first",
    ),
    "A place is free when the worker is gone, and not when its stop was asked for.": (
        _E2E + "test_exits.py::test_a_stop_that_waits_for_its_grace_holds_the_slot_and_delays_nobody",
    ),
    "The next to start is the task that has waited longest among those whose action has room.": (
        "tests/supervisor/pool/test_pool.py::TestQueue::test_the_longest_waiting_task_goes_first_across_actions",
        "tests/supervisor/pool/test_pool.py::TestQueue::test_a_task_whose_action_is_full_holds_nobody_else_up",
    ),
    "`excess: {action: requeue}` really stops the task and puts it back into its queue.": (
        _E2E + "test_pools.py::test_an_excess_that_is_requeued_runs_again_as_the_same_task",
    ),
    "Pools": (_CONFIG + "test_both_spellings_of_a_pool",),
    # Commands, conditions and templates
    "a line longer than 10 MiB hangs the task for good": (
        _CONFIG + "test_the_defaults",
        "tests/faults/test_children.py::test_forty_megabytes_in_one_line_are_cut_and_the_child_goes_on",
    ),
    "a progress bar, which redraws its line with CR, is one line up to its LF": (
        _E2E + "test_partial.py::test_of_a_line_that_redraws_itself_the_end_is_kept",
        _E2E + "test_partial.py::test_it_is_shown_as_a_terminal_would",
    ),
    "`exited` comes when every process that holds the pipes is gone": (
        _E2E
        + "test_exits.py::test_a_pipe_held_open_does_not_hold_up_the_exit_and_what_still_comes_is_waited_for",
        "tests/workers/test_output.py::test_a_flooding_survivor_is_cut_off",
    ),
    "what a command leaves in the background lives on": (
        _E2E + "test_exits.py::test_what_a_natural_exit_ends",
    ),
    "commands share the server's terminal": (_OWN + "test_a_run_has_its_own_session_and_no_terminal",),
    "SIGKILL after a stop never comes; a second stop crashes the server": (
        _CONFIG + "test_the_defaults",
        _E2E + "test_runs.py::test_what_ignores_sigterm_is_killed_after_the_grace",
        "tests/process/test_stop.py::test_stops_from_many_threads_end_it_once",
    ),
    "a stop signals the process group": (_E2E + "test_exits.py::test_what_a_stop_ends",),
    "Go templates": (
        "tests/templates",
        _E2E + "test_exec.py::test_templates_are_rendered_and_an_argument_stays_one_argument",
        _E2E + "test_exec.py::test_a_file_may_say_that_its_templates_are_jinjas",
    ),
    "conditions by cel-go": ("tests/cel",),
    "undeclared parameters reach the templates": (
        "tests/auth/test_commands.py::test_undeclared_parameters_are_refused_only_where_that_is_wanted",
    ),
    "Commands, conditions and templates": (
        _E2E + "test_exec.py::test_a_dropped_line_reaches_no_client_no_ring_and_has_no_seq",
        _E2E + "test_exec.py::test_scalars_are_what_the_file_says",
        _E2E + "test_exec.py::test_a_scalar_as_a_parameter_is_its_default",
        _CONFIG + "test_a_description_may_stand_in_meta",
    ),
    # Security
    "any web page may drive a server on `localhost`": (
        "tests/auth/test_browsers.py::test_pages_are_let_in_by_origin_and_host",
        "tests/auth/test_browsers.py::test_the_log_says_which_line_would_let_a_page_in",
    ),
    "no notion of users": ("tests/auth/test_rights.py", "tests/auth/test_tls.py", "tests/auth/test_audit.py"),
    "children get the server's environment": (
        "tests/auth/test_secrets.py::test_a_token_is_nowhere_but_with_its_owner",
    ),
    # The rest is prose.
    "Drivers": (
        "tests/drivers/test_library.py",
        "tests/drivers/test_functions.py::test_one_that_ignores_its_stop_is_given_up_after_the_grace",
        "tests/faults/test_virtual.py",
    ),
    "Logs": (_E2E + "test_daemon.py::test_the_event_log_has_every_task_event_as_clients_see_them",),
    "Database": (
        _OWN + "test_a_database_is_accepted_and_not_opened",
        "tests/util/test_sqlite.py::test_a_new_file_is_made_in_wal_mode_with_five_seconds_of_patience",
    ),
}

if __name__ == "__main__":
    print(*dict.fromkeys(test for tests in PROOFS.values() for test in tests), sep="\n")
