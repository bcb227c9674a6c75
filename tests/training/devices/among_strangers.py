"""One of two processes that join while strangers connect to process 0 first; run by a test.

python -m tests.training.devices.among_strangers HOST:PORT NUMBER
"""

import socket
import sys

import jax
from jax.experimental import multihost_utils

from cnnjax.training.devices import peers, processes

SENT = (b"", (1).to_bytes(4, "big"), b"garbage" * 20, bytes(32) + (1).to_bytes(4, "big"))


def main(arguments):
    """Joins, meets the other process once, and leaves."""
    coordinator, number = arguments
    listeners, strangers = [], []
    open_listener = peers.open_listener

    def open_among_strangers(host):
        listener = open_listener(host)
        listeners.append(listener)
        # Nobody else knows the port yet, so these are the first in its queue.
        for sent in SENT:
            stranger = socket.create_connection(listener.getsockname())
            stranger.sendall(sent)
            strangers.append(stranger)
        return listener

    peers.open_listener = open_among_strangers
    with processes.joined(coordinator, 2, int(number)):
        multihost_utils.sync_global_devices("met")
        assert len(listeners) == (jax.process_index() == 0)
        assert all(listener.fileno() == -1 for listener in listeners)
        print("both are here; nothing listens")


if __name__ == "__main__":
    main(sys.argv[1:])
