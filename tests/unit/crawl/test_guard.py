"""Address rules and the resolver that applies them."""

from __future__ import annotations

import socket
from ipaddress import ip_network

import pytest

from pacewheel.crawl.guard import AddressGuard, GuardedResolver, SocketRefused
from pacewheel.errors import TargetRefused


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
        "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1",
        "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
        "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "::", "::1", "fc00::1", "fd00::1", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1",
        "2001:db8::1", "2001::1", "2001:10::1", "3fff::1", "100::1", "64:ff9b:1::1", "5f00::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    """Each kind, and IPv6 that carries a refused IPv4 address; the message says how to allow it."""
    with pytest.raises(TargetRefused, match="--allow-network"):
        AddressGuard().check(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1", "93.184.216.34", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1",
        "169.253.0.1", "192.0.1.1", "198.17.0.1", "198.20.0.1", "223.255.255.255",
        "2606:4700::1111", "2a00:1450::1", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1",
    ],
)  # fmt: skip
def test_public_addresses_pass(address: str) -> None:
    """The neighbours of the refused networks among them."""
    AddressGuard().check(address, 443)


def test_an_allowed_network_opens_its_addresses_on_every_port() -> None:
    """Also when the address is written as mapped IPv6, and nothing beside it."""
    guard = AddressGuard([ip_network("127.0.0.0/8")])
    guard.check("127.0.0.1", 6379)
    guard.check("::ffff:127.0.0.1", 6379)
    with pytest.raises(TargetRefused):
        guard.check("10.0.0.1", 80)
    with pytest.raises(TargetRefused):
        guard.check("::1", 80)


@pytest.mark.parametrize("port", [22, 25, 6379, 81, 0])
def test_other_ports_of_public_addresses_are_refused(port: int) -> None:
    """The message names the ports that are open."""
    with pytest.raises(TargetRefused, match="80, 443"):
        AddressGuard().check("1.1.1.1", port)


def test_no_socket_is_created_for_a_refused_address() -> None:
    """The connector's last step before connecting; an OSError, as it expects."""
    info = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 80))
    with pytest.raises(SocketRefused, match="loopback"):
        AddressGuard().open_socket(info)
    AddressGuard([ip_network("127.0.0.1")]).open_socket(info).close()


async def test_the_resolver_lets_only_checked_addresses_through() -> None:
    """Public ones of a mixed answer; TargetRefused when none is left; OSError for no address."""

    async def lookup(host: str, _port: int) -> list[str]:
        return {
            "mixed": ["10.0.0.1", "1.1.1.1", "::1", "2606:4700::1111"],
            "private": ["10.0.0.1", "169.254.169.254"],
        }.get(host, [])

    resolver = GuardedResolver(AddressGuard(), lookup)
    both = await resolver.resolve("mixed", 443)
    assert ["1.1.1.1", "2606:4700::1111"] == [entry["host"] for entry in both]
    only_v4 = await resolver.resolve("mixed", 443, socket.AF_INET)
    assert ["1.1.1.1"] == [entry["host"] for entry in only_v4]
    with pytest.raises(TargetRefused, match=r"'private'.*private"):
        await resolver.resolve("private", 443)
    with pytest.raises(OSError, match="no address"):
        await resolver.resolve("nothing", 443)
    await resolver.close()


async def test_the_system_resolver_knows_localhost() -> None:
    """The default look-up works, and its result is checked."""
    resolver = GuardedResolver(AddressGuard())
    with pytest.raises(TargetRefused, match="loopback"):
        await resolver.resolve("localhost", 80)
    await resolver.close()
