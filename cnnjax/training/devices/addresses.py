"""The addresses of this machine on which the other processes of a run reach it."""

import contextlib
import socket

_LOOPBACK = ("127.", "::1")


def own_address(host: str | None) -> str | None:
    """Returns the address of this machine on which the others reach it; None if it is not known.

    Its name may not show that: some systems give a machine's own name a loopback address, and a
    host outside may have another address than the machine has itself.

    Args:
        host: name or address of this machine, by which the others reach it; None if unknown.
    """
    with contextlib.suppress(OSError):
        if host:
            family, _, _, _, place = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
            address = str(place[0])
            if host in ("localhost", address) or not address.startswith(_LOOPBACK):
                # Only an address that this machine has can be bound.
                socket.create_server((address, 0), family=family).close()
                return address
    return None


def open_listener(host: str | None) -> socket.socket:
    """Returns a socket that listens on the address of process 0, at a port that the system chooses.

    It listens on all of the machine's addresses where `own_address` returns none.

    Args:
        host: name or address of this machine, by which the others reach it; None if unknown.
    """
    address = own_address(host)
    if address is not None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, 0), family=family)
    if socket.has_dualstack_ipv6():
        return socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", 0))
