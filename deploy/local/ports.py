"""Ports of this machine: whether one is free, who has it, and where a spare one is."""

from __future__ import annotations

import random
import socket

import psutil

HOST = "127.0.0.1"

#: Below the range that the kernel hands out to outgoing connections, so that a port stays free
#: while its server is being restarted.
_SPARE_PORTS = range(15000, 32000)


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def find_spare_port() -> int:
    """Return a port on which nobody listens.

    Somebody else may take it before it is used: whoever starts a server on it must be ready
    to try another.
    """
    for port in random.sample(_SPARE_PORTS, k=100):
        if is_free(port):
            return port
    raise RuntimeError("none of a hundred ports is free on this machine")


def describe_owner(port: int) -> str:
    """Name the program that listens on a port, as far as this account may see it."""
    try:
        for connection in psutil.net_connections("tcp"):
            is_ours = connection.laddr and connection.laddr.port == port
            if is_ours and connection.status == psutil.CONN_LISTEN and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return "another program"
