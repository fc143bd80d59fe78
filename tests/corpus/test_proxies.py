"""Proxies of the environment: one meaning for all clients, none for loopback, and nothing passed over."""

import httpx
import pytest

from corpus import proxies
from corpus.errors import RecipeError, SourceError

ODD = "10.0.0.0/8,fd00::/8,[::1]:80, ,*.corp.example;über.example a.example,http://x"


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*proxies.PROXIES, *proxies.WITHOUT, proxies.NETWORKS):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def settle(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    for name, value in {**environment, **proxies.variables(environment)}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:9", "socks5h://h:1", "socks://127.0.0.1:9", "http://h:1", "h:1"]
)
def test_clients_can_be_made_whatever_is_set(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    settle(monkeypatch, ALL_PROXY=proxy, NO_PROXY=ODD)
    with httpx.Client() as client:
        for host in ("127.0.0.1", "localhost", "[::1]"):
            assert client._transport_for_url(httpx.URL(f"http://{host}:4200")) is client._transport
        assert client._transport_for_url(httpx.URL("http://example.org")) is not client._transport


@pytest.mark.parametrize(
    "proxy", ["socks4://h:1", "ftp://h", "http://", "http:/h:1", "http//h:1", "http://u:secret@h:99999"]
)
def test_a_proxy_that_nobody_speaks_to_is_refused(proxy: str) -> None:
    with pytest.raises(RecipeError, match="https_proxy=") as error:
        proxies.variables({"https_proxy": proxy})
    assert "secret" not in str(error.value)


def test_every_client_finds_what_is_set_for_all() -> None:
    found = proxies.variables({"ALL_PROXY": "http://h:1", "https_proxy": "http://other:2"})
    assert (found["HTTP_PROXY"], found["https_proxy"]) == ("http://h:1", "http://other:2")
    assert "HTTPS_PROXY" not in found


@pytest.mark.parametrize(("host", "direct"), [("10.1.2.3", True), ("fd00::5", True), ("11.1.2.3", False)])
def test_networks_count_for_every_client(monkeypatch: pytest.MonkeyPatch, host: str, direct: bool) -> None:
    settle(monkeypatch, HTTP_PROXY="http://h:1", NO_PROXY=ODD)
    settle(monkeypatch, **proxies.variables())  # a child's turn
    proxies.reach_directly(host)
    with httpx.Client() as client:
        address = f"[{host}]" if ":" in host else host
        asked = client._transport_for_url(httpx.URL(f"http://{address}:9000"))
        assert (asked is client._transport) is direct


def test_socks_is_refused_where_it_would_be_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    settle(monkeypatch, ALL_PROXY="socks5://h:1", NO_PROXY="minio.local")
    proxies.refuse_socks("http://minio.local:9000")
    with pytest.raises(SourceError, match="SOCKS"):
        proxies.refuse_socks("https://bucket.s3.amazonaws.com")
