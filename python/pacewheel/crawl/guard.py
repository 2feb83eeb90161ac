"""Addresses we connect to: checked when resolved, and again on the socket about to be opened.

Owns the answer to "may this process open a connection to that address and port?". Everything that
is not plain public unicast is refused (private, loopback, link-local with the cloud metadata
addresses, CGNAT, multicast, documentation, benchmark, reserved), and so is an IPv6 address that
carries a refused IPv4 address (mapped, 6to4, NAT64). `--allow-network` opens exceptions. There is
no second look-up: the addresses that passed the check are the ones the connector is given, and
`open_socket` checks the very socket address once more, which also covers literal addresses (no
resolver is asked for those).

Ports: a public address is connected to on the usual HTTP ports only, because a request sent
elsewhere can reach a service that speaks another protocol (SMTP, Redis) and take its newlines for
commands. Inside an `--allow-network` any port is open, since its owner named it.

Sources: IANA special-purpose address registries (RFC 6890), RFC 6052 (NAT64), RFC 3056 (6to4).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from pacewheel.errors import TargetRefused

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
Lookup = Callable[[str, int], Awaitable[list[str]]]
"""`await lookup(host, port)` returns the host's addresses as text, or raises OSError."""

HTTP_PORTS = frozenset({80, 443, 8000, 8080, 8443, 8888})

_LOOKUP_THREADS = 32

_REFUSED_V4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmark"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_PUBLIC_V6 = IPv6Network("2000::/3")
_MAPPED_V6 = IPv6Network("::ffff:0:0/96")
_NAT64_V6 = IPv6Network("64:ff9b::/96")
_6TO4_V6 = IPv6Network("2002::/16")
_REFUSED_V6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
        # Teredo and ORCHID are in here.
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
    )
)


class AddressGuard:
    """Decides by address and port; stateless apart from the exceptions given."""

    def __init__(self, allow: Sequence[IPNetwork] = ()) -> None:
        """Open exceptions for the networks in `allow`."""
        self._allow = tuple(allow)

    def check(self, address: str | IPAddress, port: int | None = None) -> None:
        """Return when `address` (and `port`, if given) may be connected to.

        Raises:
            TargetRefused: it may not; the message names the kind of address and the way to allow
                it.
        """
        try:
            ip = ip_address(address)
        except ValueError:
            raise TargetRefused(f"{address!r} is no IP address: check the host name") from None
        embedded = _embedded_v4(ip)
        if any(
            self._is_allowed(candidate) for candidate in (ip, embedded) if candidate is not None
        ):
            return
        kind = _refused_kind(ip, embedded)
        if kind is not None:
            bits = 32 if ip.version == 4 else 128
            raise TargetRefused(
                f"address {ip} is refused ({kind}): "
                f"pass --allow-network {ip}/{bits} if you mean to request it"
            )
        if port is not None:
            _refuse_port(str(ip), port)

    def check_literal(self, host: str, port: int) -> None:
        """Check what can be checked without resolving: an address, localhost, or only the port.

        Raises:
            TargetRefused: as `check`.
        """
        name = host.strip("[]").rstrip(".")
        is_local = name == "localhost" or name.endswith(".localhost")
        try:
            ip = ip_address("127.0.0.1" if is_local else name)
        except ValueError:
            _refuse_port(host, port)
        else:
            self.check(ip, port)

    def open_socket(self, addr_info: tuple[Any, ...]) -> socket.socket:
        """Create the socket for one `getaddrinfo` entry (aiohttp's `socket_factory`), if it passes.

        Raises:
            SocketRefused: an OSError, since that is what the connector expects of a socket that
                fails.
        """
        family, kind, protocol, _, sockaddr = addr_info
        try:
            self.check(sockaddr[0], sockaddr[1])
        except TargetRefused as refused:
            raise SocketRefused(str(refused)) from refused
        return socket.socket(family=family, type=kind, proto=protocol)

    def _is_allowed(self, ip: IPAddress) -> bool:
        return any(ip.version == network.version and ip in network for network in self._allow)


class SocketRefused(PermissionError):
    """The guard's refusal as an OSError, which connectors understand."""


class GuardedResolver(AbstractResolver):
    """Resolves names and lets through only the addresses that the guard accepts.

    Look-ups run in threads of their own (at most 32), so that a name server that hangs for some
    domains delays neither other domains for long nor anything else that uses the loop's default
    threads.
    """

    def __init__(self, guard: AddressGuard, lookup: Lookup | None = None) -> None:
        """Resolve with `lookup`, by default the operating system's resolver."""
        self._guard = guard
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, thread_name_prefix="pacewheel-dns")
        self._lookup = lookup or self._lookup_by_system

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the permitted addresses of `host`.

        Raises:
            TargetRefused: the host has addresses and none of them is permitted.
            OSError: the host does not resolve.
        """
        addresses = [
            (address, socket.AF_INET6 if ":" in address else socket.AF_INET)
            for address in await self._lookup(host, port)
        ]
        permitted: list[ResolveResult] = []
        refusal: TargetRefused | None = None
        for address, address_family in addresses:
            if family not in (socket.AF_UNSPEC, address_family):
                continue
            try:
                self._guard.check(address, port)
            except TargetRefused as refused:
                refusal = refusal or refused
                continue
            permitted.append(
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=address_family,
                    proto=socket.IPPROTO_TCP,
                    flags=socket.AI_NUMERICHOST,
                )
            )
        if permitted:
            return permitted
        if refusal is not None:
            raise TargetRefused(f"host {host!r}: {refusal}")
        raise socket.gaierror(socket.EAI_NONAME, "the name has no address")

    async def close(self) -> None:
        """Stop the look-up threads; look-ups that run are left to end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _lookup_by_system(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        infos = await loop.run_in_executor(self._threads, _getaddrinfo, host, port)
        return list(dict.fromkeys(str(info[4][0]) for info in infos))


def _getaddrinfo(host: str, port: int) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        # A label that is empty or longer than 63 octets: a URL may hold it, no name can.
        raise socket.gaierror(socket.EAI_NONAME, "the name can't exist") from None


def _refuse_port(host: str, port: int) -> None:
    if port not in HTTP_PORTS:
        ports = ", ".join(str(number) for number in sorted(HTTP_PORTS))
        raise TargetRefused(
            f"port {port} of {host} is refused: use one of {ports}, "
            f"or pass --allow-network with its address to open all its ports"
        )


def _embedded_v4(ip: IPAddress) -> IPv4Address | None:
    if ip.version == 4:
        return None
    bits = int(ip)
    if ip in _MAPPED_V6 or ip in _NAT64_V6:
        return IPv4Address(bits & 0xFFFFFFFF)
    if ip in _6TO4_V6:
        return IPv4Address((bits >> 80) & 0xFFFFFFFF)
    return None


def _refused_kind(ip: IPAddress, embedded: IPv4Address | None) -> str | None:
    v4 = ip if isinstance(ip, IPv4Address) else embedded
    if v4 is not None:
        return next((kind for network, kind in _REFUSED_V4 if v4 in network), None)
    if isinstance(ip, IPv6Address):
        for network, kind in _REFUSED_V6:
            if ip in network:
                return kind
        if ip not in _PUBLIC_V6:
            return "reserved"
    return None
