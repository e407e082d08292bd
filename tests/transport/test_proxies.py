"""What the environment says of proxies, read as curl reads it."""

from __future__ import annotations

import pytest
from yarl import URL

from async_copilot.errors import InvalidRequestError
from async_copilot.transport.proxies import environment_proxy

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def proxy_of(url: str, monkeypatch: pytest.MonkeyPatch, **variables: str) -> str | None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    proxy = environment_proxy(URL(url))
    return None if proxy is None else str(proxy)


API = "http://api.test/v1"
SECURE = "https://api.test/v1"


@pytest.mark.parametrize(
    ("url", "variables", "proxy"),
    [
        (API, {}, None),
        (API, {"http_proxy": ""}, None),
        (API, {"http_proxy": "http://p:1"}, "http://p:1"),
        (API, {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        (API, {"https_proxy": "http://p:1"}, None),
        (SECURE, {"http_proxy": "http://p:1", "https_proxy": "http://q"}, "http://q"),
        (API, {"http_proxy": "p:3128"}, "http://p:3128"),
        (API, {"all_proxy": "http://p:1"}, "http://p:1"),
        (SECURE, {"ALL_PROXY": "p:1"}, "http://p:1"),
        (SECURE, {"all_proxy": "http://a", "https_proxy": "http://p:1"}, "http://p:1"),
        (SECURE, {"all_proxy": "socks5://a", "https_proxy": "http://p:1"}, "http://p:1"),
        ("http://127.0.0.1:1337/v1", {"http_proxy": "http://p"}, None),
        ("http://[::1]:1337/v1", {"all_proxy": "socks5://p"}, None),
        ("http://localhost:1337/v1", {"http_proxy": "http://p"}, None),
        ("http://g4f.localhost/v1", {"http_proxy": "http://p"}, None),
    ],
)
def test_the_proxy_is_the_one_named_for_the_scheme_or_for_all(
    url: str, variables: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert proxy_of(url, monkeypatch, **variables) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("*", API),
        ("api.test", API),
        ("other.test, api.test", API),
        ("other.test api.test", API),
        ("API.Test", API),
        ("test", API),
        (".test", API),
        ("*.test", API),
        ("api.test.", API),
        ("api.test", "http://api.test./v1"),
        ("api.test:80", API),
        ("api.test:443", SECURE),
        ("*.test:8080", "http://api.test:8080/v1"),
        ("10.1.2.3", "http://10.1.2.3:8000/v1"),
        ("10.0.0.0/8", "http://10.1.2.3/v1"),
        ("10.1.2.9/8", "http://10.1.2.3/v1"),
        ("10.1.2.3:8000", "http://10.1.2.3:8000/v1"),
        ("192.168.0.0/16,10.0.0.0/8", "https://192.168.7.7/v1"),
        ("fd00::/8", "http://[fd12::1]:8000/v1"),
        ("fd12::1", "http://[fd12:0::1]/v1"),
        ("[fd12::1]", "http://[fd12::1]/v1"),
        ("[fd12::1]:8000", "http://[fd12::1]:8000/v1"),
    ],
)
def test_no_proxy_takes_a_host_out(
    no_proxy: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert proxy_of(url, monkeypatch, all_proxy="http://p", no_proxy=no_proxy) is None


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("", API),
        (" , ,.", API),
        ("pi.test", API),
        ("*.api.test", API),
        ("est", API),
        ("api.test:8080", API),
        ("10.0.0.0/8", API),
        ("10.0.0.0/8", "http://11.1.2.3/v1"),
        ("10.1.2.3:8000", "http://10.1.2.3:9000/v1"),
        ("10.0.0.0/99", "http://10.1.2.3/v1"),
        ("fd00::/8", "http://10.1.2.3/v1"),
        ("*.1.2.3", "http://10.1.2.3/v1"),
    ],
)
def test_no_proxy_leaves_every_other_host(
    no_proxy: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert proxy_of(url, monkeypatch, all_proxy="http://p", no_proxy=no_proxy) == "http://p"


@pytest.mark.parametrize("scheme", ["socks4", "socks5", "socks5h", "socks"])
@pytest.mark.parametrize("variable", ["all_proxy", "http_proxy"])
def test_a_socks_proxy_is_refused_with_the_ways_out(
    variable: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        proxy_of(API, monkeypatch, **{variable: f"{scheme}://me:secret@p:1080"})
    for words in (variable, "SOCKS", "no_proxy", "api.test", "aiohttp_socks", "session"):
        assert words in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("proxy", ["http://", "http://[::1", "//", "a b:x", "ftp://me:secret@p"])
def test_a_value_that_is_not_a_proxys_url_is_refused_and_not_shown(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidRequestError, match="http_proxy") as caught:
        proxy_of(API, monkeypatch, http_proxy=proxy)
    assert "secret" not in str(caught.value)
