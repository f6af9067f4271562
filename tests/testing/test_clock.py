"""The time of the stand-in for the server."""

from __future__ import annotations

from overseer.testing.server import Clock


def test_what_is_due_is_called_in_order_and_at_its_time() -> None:
    clock = Clock()
    called: list[tuple[str, float]] = []

    def first() -> None:
        called.append(("first", clock.now))
        clock.after(1.0, lambda: called.append(("then", clock.now)))

    clock.after(20.0, lambda: called.append(("last", clock.now)))
    clock.after(2.0, lambda: called.append(("second", clock.now)))
    clock.after(2.0, lambda: called.append(("third", clock.now)))
    clock.after(1.0, first)
    clock.advance(10.0)
    assert called == [("first", 1.0), ("second", 2.0), ("third", 2.0), ("then", 2.0)]
    clock.advance(10.0)
    assert called[-1] == ("last", 20.0)
