"""The pool manager, one rule at a time."""

from __future__ import annotations

import itertools
import time
from datetime import timedelta

import pytest

from overseer.protocol import ExcessConfig, PoolConfig, QueueConfig, QueueItem
from overseer.supervisor.pool.policy import Admission, Requeued, ResizeResult, Trim
from overseer.supervisor.pool.pool import PoolManager
from tests.harness import allowed
from tests.supervisor.pool.pools import MOMENT, QUEUED, REFUSED, RUNNING, Pool, ids, own, queue


class TestLimits:
    @pytest.mark.parametrize("limit", [0, 1, 2, 5])
    @pytest.mark.parametrize("limit_a", [0, 1, 2, 5])
    def test_both_the_global_cap_and_the_action_s_hold(self, limit: int, limit_a: int) -> None:
        pool = Pool(limit, a=own(limit_a), b=None)
        started_a = [pool.outcome(f"a{i}") for i in range(8)].count(RUNNING)
        started_b = [pool.outcome(f"b{i}") for i in range(8)].count(RUNNING)
        assert started_a == min(limit or 8, limit_a or 8)
        assert started_b == (limit - started_a if limit else 8)
        assert (pool.running("a"), pool.running("b"), pool.running()) == (
            started_a,
            started_b,
            started_a + started_b,
        )

    @pytest.mark.parametrize("force", [False, True])
    def test_force_gives_no_slot_beyond_a_limit(self, force: bool) -> None:
        pool = Pool(1)
        pool.fill("a1")
        assert pool.outcome("a2", force=force) == REFUSED

    def test_a_slot_is_taken_until_it_is_released(self) -> None:
        pool = Pool(1)
        pool.fill("a1")
        assert pool.outcome("a2") == REFUSED
        assert pool.release("a1") == ()
        assert pool.outcome("a2") == RUNNING

    def test_releasing_twice_or_what_never_ran_changes_nothing(self) -> None:
        pool = Pool(1, queue())
        pool.fill("a1", "a2", "a3")
        assert pool.release("nobody") == ()
        assert pool.release("a3") == ()  # waits, holds no slot
        assert pool.release("a1") == ("a2",)
        assert pool.release("a1") == ()
        assert (pool.running(), pool.waiting()) == (1, ["a3"])

    def test_a_refused_id_is_free_again(self) -> None:
        pool = Pool(1)
        pool.fill("a1")
        assert pool.outcome("a2") == REFUSED
        pool.release("a1")
        assert pool.outcome("a2") == RUNNING

    @pytest.mark.parametrize("task_id", ["a1", "a2"])
    def test_an_id_that_runs_or_waits_is_not_taken_in_again(self, task_id: str) -> None:
        pool = Pool(1, queue())
        pool.fill("a1", "a2")
        with pytest.raises(ValueError, match=task_id):
            pool.start(task_id)
        with pytest.raises(ValueError, match=task_id):
            pool.admit_over(task_id, "a")
        assert (pool.running(), pool.waiting()) == (1, ["a2"])

    def test_a_reset_runs_over_the_limit_and_counts_as_running(self) -> None:
        pool = Pool(1, queue())
        pool.fill("a1", "a2")
        pool.admit_over("a0", "a")
        assert pool.running() == 2
        assert pool.release("a1") == ()  # a0 has the only slot now
        assert pool.release("a0") == ("a2",)


class TestUnknownActions:
    def test_they_are_a_key_error_and_leave_no_trace(self) -> None:
        pool = Pool(1)
        for call in (
            lambda: pool.start("x1", "nope"),
            lambda: pool.admit_over("x1", "nope"),
            lambda: pool.purge("nope"),
            lambda: pool.resize("nope", limit=1, queue_size=3),
            lambda: pool.info("nope"),
        ):
            with pytest.raises(KeyError):
                call()
        with pytest.raises(KeyError):
            pool.requeue("x1", MOMENT)
        assert pool.running() == 0
        assert pool.outcome("x1", "a") == RUNNING


class TestQueue:
    @pytest.mark.parametrize(
        ("of_action", "of_all", "queued"),
        [
            (None, None, 0),
            (None, queue(2), 2),
            (None, QueueConfig(enabled=False, size=2), 0),
            (queue(1), None, 1),
            (queue(1), queue(2), 1),
            (queue(0), queue(2), 6),
            (QueueConfig(enabled=False), queue(2), 0),
        ],
    )
    def test_an_action_without_a_queue_config_follows_the_global_one(
        self, of_action: QueueConfig | None, of_all: QueueConfig | None, queued: int
    ) -> None:
        pool = Pool(1, of_all, a=own(queue=of_action))
        pool.fill("a0")
        assert [pool.outcome(f"a{i}") for i in range(1, 7)].count(QUEUED) == queued

    def test_each_action_has_a_queue_of_its_own_also_when_it_follows_the_global_config(self) -> None:
        pool = Pool(1, queue(1))
        pool.fill("a1", "a2", "b2")
        assert pool.outcome("a3") == REFUSED
        assert pool.outcome("b3") == REFUSED
        assert (pool.waiting("a"), pool.waiting("b")) == (["a2"], ["b2"])

    @pytest.mark.parametrize(
        ("order", "positions", "started"),
        [("first", [1, 2, 3], ["a1", "a2", "a3"]), ("last", [1, 1, 1], ["a3", "a2", "a1"])],
    )
    def test_order_decides_who_starts_next_and_the_position(
        self, order: str, positions: list[int], started: list[str]
    ) -> None:
        pool = Pool(1, queue(order=order))
        pool.fill("a0")
        assert [pool.start(f"a{i}").position for i in (1, 2, 3)] == positions
        assert pool.waiting("a") == started
        assert [pool.release(before) for before in ["a0", *started]] == [*((one,) for one in started), ()]

    def test_the_longest_waiting_task_goes_first_across_actions(self) -> None:
        pool = Pool(1, queue())
        pool.fill("a0", "b1", "a2", "b3", "a4")
        order = ["a0", "b1", "a2", "b3", "a4"]
        assert [pool.release(before) for before in order] == [*((after,) for after in order[1:]), ()]

    def test_a_task_whose_action_is_full_holds_nobody_else_up(self) -> None:
        pool = Pool(2, queue(), a=own(1), b=None)
        pool.fill("a1", "b1", "a2", "b2")
        assert pool.release("b1") == ("b2",)
        assert pool.release("b2") == ()
        assert pool.outcome("b3") == RUNNING
        assert pool.release("a1") == ("a2",)

    def test_one_release_admits_one(self) -> None:
        pool = Pool(3, queue())
        pool.fill("a1", "a2", "a3", "a4", "a5")
        assert pool.release("a2") == ("a4",)

    def test_a_cancelled_task_is_gone_and_its_place_free(self) -> None:
        pool = Pool(1, queue(1))
        pool.fill("a1", "a2")
        assert pool.cancel("a2") is True
        assert pool.cancel("a2") is False
        assert pool.cancel("a1") is False  # runs
        assert pool.outcome("a3") == QUEUED
        assert pool.release("a1") == ("a3",)

    def test_purge_empties_one_queue_or_all(self) -> None:
        pool = Pool(1, queue())
        pool.fill("a0", "a1", "b2", "a3", "b4")
        assert pool.purge("a") == ("a1", "a3")
        assert pool.waiting() == ["b2", "b4"]
        pool.fill("a5")
        assert pool.purge() == ("b2", "b4", "a5")
        assert pool.purge() == ()
        assert (pool.running(), pool.release("a0")) == (1, ())


class TestStarvation:
    @pytest.mark.parametrize("orders", list(itertools.product(["first", "last"], repeat=3)))
    def test_every_action_gets_its_turns_while_all_keep_getting_more_work(
        self, orders: tuple[str, ...]
    ) -> None:
        """In each round every action gets a new task and one task starts."""
        actions = dict(zip("abc", orders, strict=True))
        pool = Pool(1, None, **{name: own(queue=queue(order=order)) for name, order in actions.items()})
        pool.fill("a0")
        running = "a0"
        starts: list[str] = []
        for i in range(1, 121):
            pool.fill(*(f"{name}{i}" for name in actions))
            (running,) = pool.release(running)
            starts.append(running[0])
        for name in actions:
            assert 39 <= starts.count(name) <= 41, (name, starts)

    def test_a_stack_s_new_arrivals_do_not_pass_another_queue_s_longest_waiting_task(self) -> None:
        pool = Pool(1, None, a=own(queue=queue()), b=own(queue=queue(order="last")))
        pool.fill("a0", "b1", "a2", "b3")
        assert pool.waiting() == ["b3", "a2", "b1"]
        assert pool.release("a0") == ("b3",)
        pool.fill("b4", "b5")
        assert pool.release("b3") == ("a2",)

    def test_info_tells_the_order_in_which_tasks_then_start(self) -> None:
        pool = Pool(
            1, queue(), a=own(queue=queue(order="last")), b=None, c=own(queue=queue(order="last")), d=None
        )
        pool.fill("a0", *(f"{name}{i}" for i in (1, 2, 3) for name in "cabd"))
        announced = pool.waiting()
        started = []
        (running,) = pool.release("a0")
        while running:
            started.append(running)
            running = next(iter(pool.release(running)), "")
        assert started == announced
        assert len(started) == 12


class TestExpiry:
    def test_what_waits_for_max_age_leaves(self) -> None:
        pool = Pool(1, queue(max_age=10))
        pool.fill("a0", "a1")
        pool.clock.now += 4
        pool.fill("b2")
        assert pool.next_expiry() == 1010.0
        pool.clock.now = 1009.9
        assert pool.expire() == ()
        pool.clock.now = 1010.0
        assert pool.expire() == ("a1",)
        assert pool.next_expiry() == 1014.0
        pool.clock.now = 2000.0
        assert pool.expire() == ("b2",)
        assert pool.next_expiry() is None
        assert (pool.running(), pool.waiting()) == (1, [])

    def test_each_queue_has_its_own_age_and_zero_is_for_ever(self) -> None:
        pool = Pool(
            1, queue(max_age=10), a=own(queue=queue(max_age=2.5, order="last")), b=None, c=own(queue=queue())
        )
        pool.fill("a0", "a1", "b1", "c1", "a2")
        assert pool.next_expiry() == 1002.5
        pool.clock.now = 1002.5
        assert pool.expire() == ("a1", "a2")
        pool.clock.now = 1e9
        assert pool.expire() == ("b1",)
        assert pool.next_expiry() is None
        assert pool.waiting() == ["c1"]

    def test_a_task_that_started_does_not_expire(self) -> None:
        pool = Pool(1, queue(max_age=10))
        pool.fill("a0", "a1")
        assert pool.release("a0") == ("a1",)
        pool.clock.now += 100
        assert pool.expire() == ()


class TestDisplacement:
    @pytest.mark.parametrize("force", [False, True])
    @pytest.mark.parametrize("victim_forced", [False, True])
    @pytest.mark.parametrize("displace", ["false", "true", "prohibit"])
    def test_in_the_own_queue(self, displace: str, victim_forced: bool, force: bool) -> None:
        pool = Pool(1, queue(2, displace=displace))
        pool.fill("a0")
        pool.start("a1", force=victim_forced)
        pool.start("a2", force=victim_forced)
        yields = not victim_forced and (displace == "true" or (displace == "false" and force))
        admission = pool.start("a3", force=force)
        if yields:
            assert admission == Admission(2, ("a1",))
            assert pool.waiting() == ["a2", "a3"]
        else:
            assert admission.refusal
            assert pool.waiting() == ["a1", "a2"]

    @pytest.mark.parametrize("force", [False, True])
    @pytest.mark.parametrize("mine", ["false", "true", "prohibit"])
    @pytest.mark.parametrize("theirs", ["false", "true", "prohibit"])
    @pytest.mark.parametrize("my_item_forced", [False, True])
    def test_in_other_queues_when_the_own_does_not_yield(
        self, theirs: str, mine: str, my_item_forced: bool, force: bool
    ) -> None:
        pool = Pool(1, a=own(queue=queue(1, displace=mine)), b=own(queue=queue(1, displace=theirs)), c=own())
        pool.fill("a0", "b1")
        pool.start("a1", force=my_item_forced)
        allowed = {"true", "false"} if force else {"true"}
        admission = pool.start("a2", force=force)
        if mine in allowed and not my_item_forced:
            assert admission.displaced == ("a1",)
        elif theirs in allowed:
            assert admission == Admission(2, ("b1",))
        else:
            assert admission.refusal

    def test_a_forced_item_is_passed_over_for_an_older_or_younger_one_that_is_not(self) -> None:
        pool = Pool(1, queue(3, displace="true"))
        pool.fill("a0")
        for task_id in ("a1", "a2", "a3"):
            pool.start(task_id, force=task_id != "a2")
        assert pool.start("a4").displaced == ("a2",)
        assert pool.start("a5", force=True).displaced == ("a4",)
        assert pool.outcome("a6", force=True) == REFUSED
        assert pool.waiting() == ["a1", "a3", "a5"]

    def test_among_other_queues_the_oldest_item_goes(self) -> None:
        pool = Pool(1, queue(1, displace="true"), a=own(queue=queue(1)), b=None, c=None)
        pool.fill("a0", "a1", "c1", "b1")
        assert pool.start("a2").displaced == ("c1",)
        assert pool.start("a3").displaced == ("b1",)
        assert pool.outcome("a4") == REFUSED

    def test_the_place_taken_over_stays_the_other_queue_s_so_that_no_more_wait_than_sizes_allow(self) -> None:
        pool = Pool(1, None, a=own(queue=queue(1)), b=own(queue=queue(1, displace="true")))
        pool.fill("a0", "a1", "b1")
        assert pool.start("a2").displaced == ("b1",)
        assert pool.outcome("b2") == REFUSED  # a2 has the place of b's queue
        assert pool.release("a0") == ("a1",)
        assert pool.outcome("a3") == QUEUED  # the place of a1, in a's queue
        assert pool.release("a1") == ("a2",)
        assert pool.outcome("b3") == QUEUED

    def test_a_start_whose_action_has_no_queue_displaces_nobody(self) -> None:
        pool = Pool(1, None, a=own(queue=QueueConfig()), b=own(queue=queue(1, displace="true")))
        pool.fill("a0", "b1")
        assert pool.outcome("a1", force=True) == REFUSED
        assert pool.waiting() == ["b1"]


class TestRaisedLimits:
    @pytest.mark.parametrize(("limit", "admitted"), [(1, ()), (2, ("a2",)), (3, ("a2", "b3")), (0, None)])
    def test_a_raised_limit_admits_at_once(self, limit: int, admitted: tuple[str, ...] | None) -> None:
        pool = Pool(1, queue())
        pool.fill("a1", "a2", "b3", "a4")
        assert pool.resize(limit=limit).admitted == (("a2", "b3", "a4") if admitted is None else admitted)

    def test_an_action_s_raised_limit_admits_up_to_the_global_one(self) -> None:
        pool = Pool(3, queue(), a=own(1), b=None)
        pool.fill("a1", "b1", "a2", "a3", "a4")
        assert pool.resize("a", limit=0).admitted == ("a2",)
        assert pool.release("b1") == ("a3",)

    def test_absent_fields_keep_what_is(self) -> None:
        pool = Pool(2, queue(2))
        pool.fill("a1", "a2", "a3", "a4")
        assert pool.resize() == ResizeResult()
        assert pool.resize(excess={"grace": 1.0}) == ResizeResult()
        assert (pool.info().limit, pool.outcome("a5")) == (2, REFUSED)

    @pytest.mark.parametrize("field", ["limit", "queue_size"])
    @pytest.mark.parametrize("action", ["", "a"])
    def test_negative_numbers_change_nothing(self, field: str, action: str) -> None:
        pool = Pool(2)
        with pytest.raises(ValueError, match="negative"):
            pool.resize(action, **{field: -1})  # type: ignore[arg-type]
        assert pool.info().limit == 2

    def test_unknown_fields_of_excess_change_nothing(self) -> None:
        pool = Pool(2)
        pool.fill("a1", "a2")
        with pytest.raises(TypeError):
            pool.resize(limit=1, excess={"mercy": 1})
        assert pool.info().limit == 2


class TestQueueSizes:
    @pytest.mark.parametrize("action", ["", "a"])
    @pytest.mark.parametrize(
        ("before", "size", "queued"),
        [
            (None, 0, 0),
            (None, 2, 2),
            (QueueConfig(enabled=False, size=1), 0, 0),
            (QueueConfig(enabled=False, size=1), 2, 2),
            (queue(1), 0, 6),
            (queue(1), 3, 3),
            (queue(4), 2, 2),
        ],
    )
    def test_a_positive_size_makes_a_queue_and_zero_unbounds_one(
        self, action: str, before: QueueConfig | None, size: int, queued: int
    ) -> None:
        pool = Pool(1, before)
        pool.fill("a0")
        pool.resize(action, queue_size=size)
        assert [pool.outcome(f"a{i}") for i in range(1, 7)].count(QUEUED) == queued

    def test_a_queue_made_smaller_keeps_what_waits_and_takes_none_until_there_is_a_place(self) -> None:
        pool = Pool(1, queue())
        pool.fill("a0", "a1", "a2", "a3")
        pool.resize(queue_size=2)
        assert pool.waiting() == ["a1", "a2", "a3"]
        assert pool.outcome("a4") == REFUSED
        pool.release("a0")
        assert pool.outcome("a4") == REFUSED
        pool.release("a1")
        assert pool.outcome("a4") == QUEUED

    def test_an_action_s_size_is_its_own_from_then_on(self) -> None:
        pool = Pool(1, queue(1, order="last"))
        pool.resize("a", queue_size=2)
        pool.resize(queue_size=3)
        pool.fill("a0", "a1", "a2", "b1", "b2", "b3")
        assert (pool.outcome("a3"), pool.outcome("b4")) == (REFUSED, REFUSED)
        assert pool.waiting("a") == ["a2", "a1"]  # the order was taken over


class TestLoweredLimits:
    @pytest.mark.parametrize("action", ["", "a"])
    @pytest.mark.parametrize(
        ("order", "limit", "trimmed"),
        [
            ("first", 4, []),
            ("first", 3, ["a1"]),
            ("first", 1, ["a1", "a2", "a3"]),
            ("last", 3, ["a4"]),
            ("last", 1, ["a4", "a3", "a2"]),
            ("last", 0, []),
        ],
    )
    @pytest.mark.parametrize("how", ["stop", "requeue"])
    def test_running_tasks_beyond_it_have_to_go_by_order_of_start(
        self, action: str, order: str, limit: int, trimmed: list[str], how: str
    ) -> None:
        excess = ExcessConfig(how, order, 1.5)
        pool = Pool(everyone=PoolConfig(4, excess=excess), a=own(4, excess=excess))
        pool.fill("a1", "a2", "a3", "a4")
        requeue = how == "requeue"
        assert pool.resize(action, limit=limit) == ResizeResult(
            trimmed=tuple(Trim(task_id, requeue, 1.5) for task_id in trimmed)
        )
        assert pool.running() == 4  # until they are gone

    def test_the_global_limit_trims_across_actions_by_the_global_rule(self) -> None:
        pool = Pool(everyone=PoolConfig(0, excess=ExcessConfig(order="last")), a=own(), b=own())
        pool.fill("a1", "b2", "a3", "b4")
        assert ids(pool.resize(limit=2).trimmed) == ["b4", "a3"]

    def test_an_action_s_limit_trims_nobody_else(self) -> None:
        pool = Pool()
        pool.fill("b1", "a2", "b3", "a4")
        assert ids(pool.resize("a", limit=1).trimmed) == ["a2"]

    def test_an_action_without_a_config_trims_by_the_global_rule(self) -> None:
        pool = Pool(everyone=PoolConfig(excess=ExcessConfig("requeue", "last", 9)), a=None)
        pool.fill("a1", "a2")
        assert pool.resize("a", limit=1).trimmed == (Trim("a2", True, 9.0),)

    def test_what_is_set_with_the_limit_holds_for_it(self) -> None:
        pool = Pool(2)
        pool.fill("a1", "a2")
        resize = pool.resize(limit=1, excess={"order": "last", "grace": 0.5})
        assert resize.trimmed == (Trim("a2", False, 0.5),)

    def test_tasks_on_their_way_out_count_as_trimmed_already(self) -> None:
        pool = Pool(5, a=own(), b=own())
        pool.fill("a1", "b2", "a3", "b4", "a5")
        assert ids(pool.resize(limit=3).trimmed) == ["a1", "b2"]
        assert ids(pool.resize("a", limit=1).trimmed) == ["a3"]
        assert ids(pool.resize(limit=2).trimmed) == []
        assert ids(pool.resize(limit=1).trimmed) == ["b4"]

    def test_tasks_that_a_client_stopped_count_as_trimmed_and_still_hold_their_slots(self) -> None:
        pool = Pool(3, queue())
        pool.fill("a1", "a2", "a3", "a4")
        for task_id in ("a3", "a3", "a4", "nobody"):  # twice, one that waits, one that is not there
            pool.mark_leaving(task_id)
        assert pool.resize(limit=2) == ResizeResult()
        assert ids(pool.resize(limit=1).trimmed) == ["a1"]
        assert [pool.release(task_id) for task_id in ("a3", "a1", "a2")] == [(), (), ("a4",)]
        assert pool.resize(limit=2) == pool.resize(limit=1) == ResizeResult()  # a4 starts afresh

    def test_a_raised_limit_calls_none_of_them_back_and_they_hold_their_slots_until_released(self) -> None:
        pool = Pool(3, queue())
        pool.fill("a1", "a2", "a3", "a4", "a5")
        assert ids(pool.resize(limit=1).trimmed) == ["a1", "a2"]
        assert pool.resize(limit=3) == ResizeResult()
        assert pool.running() == 3
        assert [pool.release(task_id) for task_id in ("a2", "a1")] == [("a4",), ("a5",)]
        # A later cut picks among those that are to stay.
        assert ids(pool.resize(limit=2).trimmed) == ["a3"]

    def test_nothing_is_admitted_before_enough_are_gone(self) -> None:
        pool = Pool(3, queue())
        pool.fill("a1", "a2", "a3", "a4")
        pool.resize(limit=1)
        assert [pool.release(task_id) for task_id in ("a1", "a2", "a3")] == [(), (), ("a4",)]

    def test_a_task_that_a_reset_started_over_the_limit_is_trimmed_by_a_lowered_one_only(self) -> None:
        pool = Pool(2)
        pool.fill("a1", "a2")
        pool.admit_over("a3", "a")
        assert pool.resize(limit=2) == ResizeResult()
        assert ids(pool.resize(limit=1).trimmed) == ["a1", "a2"]


class TestRequeue:
    def test_it_gives_the_slot_back_and_waits_at_the_end_in_one_step(self) -> None:
        pool = Pool(2, queue())
        pool.fill("a1", "a2", "b3")
        assert ids(pool.resize(limit=1, excess={"action": "requeue"}).trimmed) == ["a1"]
        later = MOMENT + timedelta(seconds=3)
        assert pool.requeue("a1", later) == Requeued(1)  # the first of a's queue
        assert pool.info("a").queue_items == (QueueItem("a1", "a", later, 0, False),)
        assert (pool.running(), pool.waiting()) == (1, ["b3", "a1"])
        assert pool.release("a2") == ("b3",)
        assert pool.release("b3") == ("a1",)

    def test_a_limit_raised_meanwhile_admits_it_at_once_after_those_before_it(self) -> None:
        pool = Pool(2, queue())
        pool.fill("a1", "a2", "a3")
        pool.resize(limit=1)
        pool.resize(limit=3)  # a3 starts
        assert pool.requeue("a1", MOMENT) == Requeued(1, ("a1",))
        assert pool.running() == 3

    @pytest.mark.parametrize("config", [QueueConfig(), queue(1)])
    def test_it_is_not_lost_to_a_full_queue_nor_where_queueing_is_off(self, config: QueueConfig) -> None:
        pool = Pool(2, config)
        pool.fill("a1", "a2")
        if config.enabled:
            pool.fill("a3")
        pool.resize(limit=1)
        position = pool.requeue("a1", MOMENT).position
        assert pool.waiting()[position - 1] == "a1"
        assert pool.outcome("a4") == REFUSED

    def test_a_forced_task_stays_one_that_nobody_displaces(self) -> None:
        pool = Pool(1, queue(1, displace="true"))
        pool.start("a1", force=True)
        pool.resize(limit=0)
        pool.start("a2")
        pool.resize(limit=1)
        pool.requeue("a1", MOMENT)
        assert pool.outcome("a3") == REFUSED

    def test_it_ages_from_then_on(self) -> None:
        pool = Pool(2, queue(max_age=10))
        pool.fill("a1", "a2")
        pool.resize(limit=1)
        pool.clock.now += 100
        pool.requeue("a1", MOMENT)
        assert pool.expire() == ()
        assert pool.next_expiry() == pool.clock.now + 10


class TestDrain:
    def test_it_empties_the_queues_and_admits_nothing_more(self) -> None:
        pool = Pool(1, queue())
        pool.fill("a1", "b2", "a3")
        assert pool.drain() == ("b2", "a3")
        assert pool.drain() == ()
        admission = pool.start("a4")
        assert admission == Admission(refusal="the server is shutting down")
        assert pool.resize(limit=9) == ResizeResult()
        assert pool.requeue("a1", MOMENT) == Requeued(0)
        assert (pool.running(), pool.waiting()) == (0, [])


class TestInfo:
    def test_positions_count_from_zero_and_global_info_has_all(self) -> None:
        pool = Pool(1, queue(), a=own(4, queue(order="last")), b=None)
        pool.fill("b0")
        moments = [MOMENT + timedelta(seconds=i) for i in range(3)]
        pool.acquire("a1", "a", False, moments[0])
        pool.acquire("b2", "b", True, moments[1])
        pool.acquire("a3", "a", False, moments[2])
        info = pool.info()
        assert (info.limit, info.running, info.queue_depth) == (1, 1, 3)
        assert info.queue_items == (
            QueueItem("a3", "a", moments[2], 0, False),
            QueueItem("b2", "b", moments[1], 1, True),
            QueueItem("a1", "a", moments[0], 2, False),
        )
        of_a = pool.info("a")
        assert (of_a.limit, of_a.running, of_a.queue_depth) == (4, 0, 2)
        assert [(item.task_id, item.position) for item in of_a.queue_items] == [("a3", 0), ("a1", 1)]

    def test_an_empty_pool_has_an_empty_queue(self) -> None:
        info = Pool(3).info()
        assert (info.limit, info.running, info.queue_depth, info.queue_items) == (3, 0, 0, ())

    def test_repr_shows_the_counts(self) -> None:
        pool = Pool(1, queue())
        pool.fill("a1", "a2", "a3")
        assert repr(pool) == "<PoolManager 1 running, 2 queued>"


def test_ten_thousand_waiting_tasks_cost_no_more_each_than_a_few() -> None:
    pool = PoolManager(PoolConfig(1, queue(10_000, displace="true", max_age=60)), {"a": None, "b": None})
    began = time.perf_counter()
    pool.acquire("0", "a", False, MOMENT)
    for i in range(1, 10_001):
        pool.acquire(str(i), "a", False, MOMENT)
    for i in range(10_001, 15_001):
        assert pool.acquire(str(i), "a", False, MOMENT).displaced
        pool.next_expiry()
    for i in range(9_000, 11_000):
        assert pool.cancel(str(i))
    running = "0"
    for _ in range(8_000):
        (running,) = pool.release(running)
    assert pool.info().queue_depth == 0
    # Some 0.3 s on one core. Work that grows with the queue's length would take minutes.
    assert time.perf_counter() - began < allowed(10)
