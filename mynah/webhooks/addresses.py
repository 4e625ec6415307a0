"""Which addresses a webhook may have: public ones, unless the operator allows others.

Without this a user could have the platform's own machines, or the metadata service of its cloud,
asked for by a worker that reaches them (SSRF). The rule is applied to addresses, not to names:
a name may mean another address at every look (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from mynah.errors import InvalidRequest

MAX_URL_CHARACTERS = 2000
_DEFAULT_PORTS = {"http": 80, "https": 443}
_PRINTABLE = re.compile(r"[!-~]+")
# Public by its number, yet it answers only to a cloud's own machines (Azure's wire server).
_METADATA = frozenset({ipaddress.ip_address("168.63.129.16")})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_V4_IN_V6 = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("2001::/32"))

Resolver = Callable[[str, int], Sequence[str]]
"""The addresses of a host. Raises OSError when it has none."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a webhook's URL leads."""

    is_tls: bool
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        """The host as a request names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = _DEFAULT_PORTS["https" if self.is_tls else "http"]
        return host if self.port == default else f"{host}:{self.port}"


def resolve_host(host: str, port: int) -> Sequence[str]:
    """The addresses of a host by the system's resolver. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is too long
        raise OSError(str(error)) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def parse_target(url: str) -> Target:
    """Take a webhook's URL apart. Raises InvalidRequest (invalid_webhook_url)."""
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise _invalid("The URL cannot be read.") from None
    if len(url) > MAX_URL_CHARACTERS or not _PRINTABLE.fullmatch(url):
        raise _invalid("A URL has ASCII characters without spaces, 2000 at most.")
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise _invalid("Give an http:// or https:// URL with a host.")
    if "@" in parts.netloc:
        raise _invalid("The URL may not hold a user or a password.")
    if parts.fragment:
        raise _invalid("The URL may not have a fragment.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    default = _DEFAULT_PORTS[parts.scheme]
    return Target(parts.scheme == "https", host, default if port is None else port, path)


def is_public(address: str) -> bool:
    """Whether everybody may reach an address: no private, local, multicast or metadata one."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if any(ip in network for network in _V4_IN_V6):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and ip not in _METADATA


def check_url(url: str, resolve: Resolver, *, allow_private: bool) -> None:
    """Refuse a URL that no webhook may have.

    Raises InvalidRequest: invalid_webhook_url, webhook_host_not_found, webhook_address_refused.
    """
    target = parse_target(url)
    if allow_private:
        return
    try:
        addresses = resolve(target.host, target.port)
    except OSError:
        message = f"The host {target.host} is not found."
        raise InvalidRequest(message, code="webhook_host_not_found") from None
    if not addresses or not all(is_public(address) for address in addresses):
        message = "The URL leads to an address that is not public."
        raise InvalidRequest(message, code="webhook_address_refused")


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_webhook_url")
