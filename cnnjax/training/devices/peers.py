"""Connections between the processes of a run: one that closes means a process that is gone.

Process 0 listens until the others have joined, and not longer. Whoever connects has to send the
run's token, which process 0 draws and sends to the others through a collective operation; a
connection without it, or one that stays silent, is closed.
"""

import contextlib
import hmac
import os
import secrets
import selectors
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import jax
import numpy as np
from jax.experimental import multihost_utils

from cnnjax.training.devices.addresses import open_listener
from cnnjax.training.errors import ConfigError

START_SECONDS = 120
"""How long processes wait for each other at the start."""

HANDSHAKE_SECONDS = 10
"""How long a connection may take to send token and number."""

PEER_LOST = 5
"""Exit code of a process that left because another one was gone."""

_GOODBYE = b"."
_WELCOME = b"+"
_ADDRESS_BYTES = 256
_TOKEN_BYTES = 32
_NUMBER_BYTES = 4
_PENDING = 128
"""Connections that may be open at once without having sent the token."""


class Peers:
    """Connections from process 0 to each other process; one that closes means a lost process.

    Args:
        host: name of the machine of process 0; None to use the machine's own name for itself.

    Raises:
        ConfigError: the processes cannot connect to each other.
    """

    def __init__(self, host: str | None):
        self._parted = False
        self._connections: dict[int, socket.socket] = {}
        if jax.process_count() == 1:
            return
        shared = np.zeros(_TOKEN_BYTES + _ADDRESS_BYTES, np.uint8)
        listener = None
        if jax.process_index() == 0:
            listener = open_listener(host)
            port = listener.getsockname()[1]
            text = secrets.token_bytes(_TOKEN_BYTES) + f"{host or socket.getfqdn()} {port}".encode()
            shared[: len(text)] = np.frombuffer(text, np.uint8)
        given = bytes(multihost_utils.broadcast_one_to_all(shared))
        token, address = given[:_TOKEN_BYTES], given[_TOKEN_BYTES:].rstrip(b"\0").decode()
        if listener is None:
            name, _, port = address.rpartition(" ")
            self._connections[0] = join((name, int(port)), token, jax.process_index())
        else:
            with listener:
                self._connections = admit(listener, token, range(1, jax.process_count()))
        for number, peer in self._connections.items():
            # A daemon thread does not keep the process alive.
            threading.Thread(target=self._listen, args=(number, peer), daemon=True).start()

    def _listen(self, number: int, peer: socket.socket) -> None:
        try:
            word = peer.recv(1)
        except OSError:
            word = b""
        if word != _GOODBYE and not self._parted:
            print(
                f"error: process {number} of this run has ended; process {jax.process_index()} "
                "cannot go on alone. The last checkpoint is as it was: start all processes again "
                "to go on from it",
                file=sys.stderr,
                flush=True,
            )
            # The main thread may wait for the lost process for ever: only this call ends it.
            os._exit(PEER_LOST)

    def part(self) -> None:
        """Waits until all processes are here, and leaves them."""
        if self._connections:
            multihost_utils.sync_global_devices("part")
        self._parted = True
        for peer in self._connections.values():
            # The other one may have closed it by now.
            with contextlib.suppress(OSError):
                peer.sendall(_GOODBYE)
        jax.distributed.shutdown()


def join(
    address: tuple[str, int], token: bytes, number: int, seconds: float = START_SECONDS
) -> socket.socket:
    """Returns a connection to process 0 that it has accepted.

    Args:
        address: host and port of process 0.
        token: the run's token.
        number: this process's number.
        seconds: how long to try.

    Raises:
        ConfigError: process 0 cannot be reached.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            peer = socket.create_connection(address, timeout=seconds)
            peer.sendall(token + number.to_bytes(_NUMBER_BYTES, "big"))
            if peer.recv(1) == _WELCOME:
                peer.settimeout(None)
                return peer
            error: Exception = ConnectionError("the connection was closed")
        except OSError as failed:
            error = failed
        if time.monotonic() > end:
            host, port = address
            raise ConfigError(
                f"--coordinator: process {number} cannot reach process 0 at {host}, port {port} "
                f"({error}); the processes need a network that lets them connect to each other"
            ) from error
        time.sleep(0.1)


@dataclass
class _Greeting:
    """A new connection, and what it has sent so far.

    Attributes:
        peer: the connection.
        end: the time until which it may send the rest.
        received: the bytes so far.
    """

    peer: socket.socket
    end: float
    received: bytes = field(default=b"")


def admit(
    listener: socket.socket,
    token: bytes,
    expected: Sequence[int],
    seconds: float = START_SECONDS,
    handshake: float = HANDSHAKE_SECONDS,
) -> dict[int, socket.socket]:
    """Returns the connections of the run's other processes; those of strangers are closed.

    All connections are read at once, so that none makes the others wait.

    Args:
        listener: where they connect.
        token: the run's token.
        expected: the numbers of the processes.
        seconds: how long to wait for all of them.
        handshake: how long a connection may take to send token and number.

    Raises:
        ConfigError: not all of them have connected in time.
    """
    joined: dict[int, socket.socket] = {}
    end = time.monotonic() + seconds
    listener.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        try:
            while len(joined) < len(expected):
                left = end - time.monotonic()
                if left <= 0:
                    raise ConfigError(_not_connected(expected, joined, seconds))
                for key, _ in selector.select(timeout=min(left, 0.1)):
                    if key.fileobj is listener:
                        _accept(selector, listener, time.monotonic() + handshake)
                    elif (number := _read_number(selector, key, token)) is not None:
                        _welcome(key.data.peer, number, expected, joined)
                _drop_late(selector)
        finally:
            for key in _pending(selector):
                _drop(selector, key)
    return joined


def _not_connected(
    expected: Sequence[int], joined: Mapping[int, socket.socket], seconds: float
) -> str:
    missing = ", ".join(str(number) for number in expected if number not in joined)
    return (
        f"--num_processes: after {seconds:g} seconds these have not connected: {missing}; "
        "the processes need a network that lets them connect to each other"
    )


def _pending(selector: selectors.BaseSelector) -> list[selectors.SelectorKey]:
    """Returns the connections that have not sent token and number yet, the oldest first."""
    return [key for key in selector.get_map().values() if key.data is not None]


def _drop(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    selector.unregister(key.fileobj)
    key.data.peer.close()


def _drop_late(selector: selectors.BaseSelector) -> None:
    pending = _pending(selector)
    for place, key in enumerate(pending):
        # Many connections at once would use up the files that a process may open.
        if key.data.end < time.monotonic() or place < len(pending) - _PENDING:
            _drop(selector, key)


def _accept(selector: selectors.BaseSelector, listener: socket.socket, end: float) -> None:
    # It may have been closed on the other side by now.
    with contextlib.suppress(OSError):
        peer, _ = listener.accept()
        peer.setblocking(False)
        selector.register(peer, selectors.EVENT_READ, _Greeting(peer, end))


def _read_number(
    selector: selectors.BaseSelector, key: selectors.SelectorKey, token: bytes
) -> int | None:
    """Reads on; returns the number once it is there, None before that and for a stranger."""
    greeting, whole = key.data, len(token) + _NUMBER_BYTES
    try:
        read = greeting.peer.recv(whole - len(greeting.received))
    except OSError:
        read = b""
    greeting.received += read
    if read and len(greeting.received) < whole:
        return None
    if not hmac.compare_digest(greeting.received[: len(token)], token):
        _drop(selector, key)
        return None
    selector.unregister(key.fileobj)
    return int.from_bytes(greeting.received[len(token) :], "big")


def _welcome(
    peer: socket.socket,
    number: int,
    expected: Sequence[int],
    joined: dict[int, socket.socket],
) -> None:
    """Adds a connection of the run; a number that is wrong or taken is refused."""
    if number not in expected or number in joined:
        peer.close()
        return
    peer.settimeout(None)
    # A process that is gone by now is noticed like any other.
    with contextlib.suppress(OSError):
        peer.sendall(_WELCOME)
    joined[number] = peer
