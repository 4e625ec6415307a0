"""Which URLs a webhook may have."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mynah.errors import InvalidRequest
from mynah.webhooks.addresses import check_url, is_public, parse_target, resolve_host


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "::1", "::"),
        *("10.0.0.1", "172.16.3.4", "192.168.1.1", "100.64.0.1", "fc00::1", "fd00:ec2::254"),
        *("169.254.169.254", "fe80::1", "fe80::1%eth0", "100.100.100.200", "168.63.129.16"),
        *("224.0.0.1", "239.1.1.1", "ff02::1", "255.255.255.255", "240.0.0.1", "192.0.2.1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1"),
        *("localhost", ""),
    ],
)
def test_addresses_that_are_not_everybodys_are_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.org/", "file:///etc/passwd", "gopher://example.org", "example.org", ""),
        *("http://", "http:///path", "https://user@example.org/", "https://user:pw@example.org/"),
        *("https://@example.org/", "https://example.org/#part", "https://example.org:99999/"),
        *("https://example.org:port/", "https://[::1/", "https://exa mple.org/"),
        *("https://example.org/\r\nX: y", "https://bücher.example/", "https://example.org/\x00"),
        "https://example.org/" + "a" * 2000,
    ],
)
def test_urls_that_cannot_be_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_target(url)
    assert refused.value.code == "invalid_webhook_url"


def test_a_url_is_taken_apart() -> None:
    target = parse_target("https://Example.org/hook?a=1")
    assert (target.is_tls, target.host, target.port) == (True, "example.org", 443)
    assert (target.path, target.host_header) == ("/hook?a=1", "example.org")
    other = parse_target("http://[2606::1]:8080")
    assert (other.host, other.port, other.path) == ("2606::1", 8080, "/")
    assert other.host_header == "[2606::1]:8080"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0", "127.1", "2130706433", "0x7f000001", "[::1]"]
)
def test_spellings_of_loopback_are_refused(host: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_url(f"http://{host}/", resolve_host, allow_private=False)
    assert refused.value.code == "webhook_address_refused"


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    def resolve(_: str, __: int) -> Sequence[str]:
        return ["93.184.216.34", "10.0.0.1"]

    with pytest.raises(InvalidRequest) as refused:
        check_url("https://example.org/", resolve, allow_private=False)
    assert refused.value.code == "webhook_address_refused"


def test_a_host_that_does_not_exist_is_told() -> None:
    def resolve(_: str, __: int) -> Sequence[str]:
        raise OSError

    with pytest.raises(InvalidRequest) as refused:
        check_url("https://example.org/", resolve, allow_private=False)
    assert refused.value.code == "webhook_host_not_found"


def test_the_operator_may_allow_all_addresses() -> None:
    check_url("http://127.0.0.1:9/", resolve_host, allow_private=True)
    with pytest.raises(InvalidRequest):
        check_url("http://user@127.0.0.1/", resolve_host, allow_private=True)
