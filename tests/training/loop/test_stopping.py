import signal
import threading

import pytest

from cnnjax.training.loop.stopping import SIGNALS, StopRequest


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_not_died_of(number):
    with StopRequest() as stop:
        assert not stop.agreed()
        signal.raise_signal(number)
        assert stop.agreed()
        assert stop.signal == signal.Signals(number).name


@pytest.mark.parametrize("first", SIGNALS)
def test_ctrl_c_after_either_leaves_at_once(first):
    with StopRequest():
        signal.raise_signal(first)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_repeated_sigterm_changes_nothing():
    with StopRequest() as stop:
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        assert stop.signal == "SIGTERM"


def test_the_handlers_from_before_are_back_afterwards():
    before = [signal.getsignal(number) for number in SIGNALS]
    with StopRequest():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_outside_of_the_main_thread_nothing_is_noted_and_nothing_breaks():
    asked = []

    def work():
        with StopRequest() as stop:
            asked.append(stop.agreed())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert asked == [False]


def test_a_signal_within_a_block_stops_the_work_around_it_too():
    with StopRequest() as outer:
        with StopRequest() as inner:
            signal.raise_signal(signal.SIGTERM)
        assert (inner.signal, outer.signal) == ("SIGTERM", "SIGTERM")
    with StopRequest() as alone:
        assert alone.signal is None
