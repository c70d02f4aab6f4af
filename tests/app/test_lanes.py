"""The lanes of a network: who does the work, and how much of it at a time."""

import threading
from collections.abc import Callable

from app.compute.worker.lanes import Lanes


class Held:
    """Work that goes on until it is released; `thread` did it."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self.began, self._released = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.thread = threading.current_thread()
        self.began.set()
        assert self._released.wait(10)

    def release(self) -> None:
        self._released.set()


def started(lanes: Lanes, work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=lanes.do, args=[work])
    thread.start()
    return thread


def test_work_is_done_in_the_thread_that_brings_it() -> None:
    threads = []
    Lanes(1).do(lambda: threads.append(threading.current_thread()))
    assert threads == [threading.current_thread()]


def test_the_thread_that_frees_a_lane_does_what_waits_for_it_in_turn() -> None:
    lanes, first, done = Lanes(1), Held(), []
    thread = started(lanes, first)
    assert first.began.wait(10)
    for name in "abc":  # nobody waits for them
        lanes.do(lambda name=name: done.append((name, threading.current_thread())))
    assert done == []
    first.release()
    thread.join(10)
    assert done == [(name, thread) for name in "abc"]
    lanes.do(lambda: done.append(("d", threading.current_thread())))  # the lane is free again
    assert done[-1] == ("d", threading.current_thread())


def test_as_many_at_once_as_there_are_lanes() -> None:
    lanes, works = Lanes(2), [Held(), Held(), Held()]
    threads = [started(lanes, work) for work in works[:2]]
    assert all(work.began.wait(10) for work in works[:2])
    lanes.do(works[2])
    assert not works[2].began.is_set()
    works[1].release()
    assert works[2].began.wait(10)
    assert works[2].thread is works[1].thread
    for work in works:
        work.release()
    for thread in threads:
        thread.join(10)
