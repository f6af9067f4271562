"""An event that is set once lets everybody through, whoever sets it and however often."""

import threading

from overseer.util.latch import Latch


def test_waiting_ends_when_it_is_set() -> None:
    latch = Latch()
    through = threading.Semaphore(0)

    def wait() -> None:
        assert latch.wait(30)
        through.release()

    threads = [threading.Thread(target=wait, daemon=True) for _ in range(20)]
    for thread in threads:
        thread.start()
    assert not through.acquire(timeout=0.05)
    latch.set()
    for thread in threads:
        thread.join(30)
    assert all(through.acquire(blocking=False) for _ in threads)


def test_it_says_whether_it_is_set() -> None:
    latch = Latch()
    assert not latch.is_set()
    assert not latch.wait(0)
    assert not latch.wait(0.001)
    assert not latch.wait(-1)  # a deadline that is over
    latch.set()
    assert latch.is_set()
    assert latch.wait(0)
    assert latch.wait()


def test_it_stays_set_however_often_it_is_set_while_others_wait() -> None:
    for _ in range(100):
        latch = Latch()
        threads = [threading.Thread(target=latch.wait, daemon=True) for _ in range(4)]
        threads += [threading.Thread(target=latch.set, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        assert latch.wait(0)
