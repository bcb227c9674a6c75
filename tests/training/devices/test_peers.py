"""Strangers at the port where the processes of a run meet."""

import contextlib
import secrets
import socket
import threading
import time

import pytest

from cnnjax import training
from cnnjax.training.devices.addresses import open_listener
from cnnjax.training.devices.peers import admit, join
from tests.training.devices.test_processes import both, free_port, start

TOKEN = secrets.token_bytes(32)


@pytest.fixture
def listener():
    with open_listener("127.0.0.1") as listener:
        yield listener


@pytest.fixture
def strangers():
    """Connects and sends some bytes: a function; the connections stay open until the test ends."""
    with contextlib.ExitStack() as stack:

        def connect(listener, sent=b""):
            stranger = stack.enter_context(socket.create_connection(listener.getsockname()))
            stranger.settimeout(20)
            stranger.sendall(sent)
            return stranger

        yield connect


def admitted(listener, numbers=(1, 2), **options):
    """Admits the processes of these numbers, which connect in threads; returns both ends."""
    ends = {}

    def connect(number):
        ends[number] = join(listener.getsockname(), TOKEN, number, seconds=20)

    threads = [threading.Thread(target=connect, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    joined = admit(listener, TOKEN, numbers, **{"seconds": 20, **options})
    for thread in threads:
        thread.join()
    return joined, ends


def check_connected(joined, ends):
    assert set(joined) == set(ends)
    for number, end in ends.items():
        joined[number].sendall(bytes([number]))
        assert end.recv(1) == bytes([number])
        for each in (end, joined[number]):
            each.close()


def is_closed(stranger):
    try:
        return stranger.recv(1) == b""
    except ConnectionResetError:
        return True


def test_processes_with_the_token_are_admitted(listener):
    check_connected(*admitted(listener))


@pytest.mark.parametrize(
    "sent",
    [
        (1).to_bytes(4, "big"),
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" * 20,
        secrets.token_bytes(32) + (1).to_bytes(4, "big"),
        TOKEN[:-1] + b"?" + (2).to_bytes(4, "big"),
        TOKEN + (7).to_bytes(4, "big"),
        TOKEN + (0).to_bytes(4, "big"),
        TOKEN[:9],
        b"",
    ],
    # Tokens are random, and test processes compare the names of tests.
    ids=[
        "a length",
        "a web browser",
        "another token",
        "a token's last byte",
        "no such process",
        "the first process",
        "half a token",
        "nothing",
    ],
)
def test_strangers_that_come_first_are_closed(listener, strangers, sent):
    stranger = strangers(listener, sent)
    start = time.monotonic()
    check_connected(*admitted(listener))
    assert is_closed(stranger)
    # No stranger makes the others wait.
    assert time.monotonic() - start < 5


def test_a_stranger_that_closes_at_once_does_not_matter(listener, strangers):
    for _ in range(5):
        strangers(listener).close()
    check_connected(*admitted(listener))


def test_many_silent_strangers_do_not_use_up_the_files(listener, strangers):
    silent = [strangers(listener) for _ in range(100)]
    flood = threading.Thread(target=lambda: [strangers(listener) for _ in range(100)])
    flood.start()
    check_connected(*admitted(listener))
    flood.join()
    listener.close()
    assert all(is_closed(stranger) for stranger in silent)


def test_a_number_joins_once(listener, strangers):
    first = strangers(listener, TOKEN + (1).to_bytes(4, "big"))
    second = strangers(listener, TOKEN + (1).to_bytes(4, "big"))
    joined = admit(listener, TOKEN, (1,), seconds=20)
    assert set(joined) == {1}
    assert first.recv(1) == b"+"
    listener.close()
    assert is_closed(second)
    joined[1].close()


def test_a_silent_connection_is_closed_in_time(listener, strangers):
    stranger = strangers(listener, TOKEN[:9])
    with pytest.raises(training.ConfigError, match="have not connected: 1, 2; "):
        admit(listener, TOKEN, (1, 2), seconds=1.5, handshake=0.2)
    assert is_closed(stranger)


def test_a_process_that_cannot_connect_reports_the_address():
    with open_listener("127.0.0.1") as listener:
        address = listener.getsockname()
    with pytest.raises(
        training.ConfigError, match=r"process 1 cannot reach process 0 at 127.0.0.1"
    ):
        join(address, TOKEN, 1, seconds=0.3)


@pytest.mark.parametrize(
    ("host", "bound"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", None),
        ("no-such-host.invalid", "::"),
        (None, "::"),
        # An address of documentation alone, which no machine has.
        ("192.0.2.1", "::"),
    ],
)
def test_the_listener_is_bound_to_the_coordinators_address(host, bound):
    if bound == "::" and not socket.has_dualstack_ipv6():
        bound = "0.0.0.0"
    with open_listener(host) as listener:
        address = listener.getsockname()[0]
    assert address == bound if bound else address in ("127.0.0.1", "::1")


@pytest.mark.process
def test_strangers_do_not_end_a_run_of_two_processes():
    port = free_port()
    program = ["-m", "tests.training.devices.among_strangers", f"127.0.0.1:{port}"]
    with both(lambda number: start(*program, str(number))) as processes:
        for process in processes:
            printed, _ = process.communicate(timeout=120)
            assert process.returncode == 0, printed
            assert "both are here; nothing listens" in printed
