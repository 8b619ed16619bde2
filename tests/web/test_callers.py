"""Who may call a server: by host, origin and token, whatever it offers."""

import pytest

from chainrule.base import ConfigError
from chainrule.web import Callers, RefusedError, token_of
from chainrule.web.callers import is_loopback

HERE = [(b"host", b"localhost:8000")]


def test_loopback_is_told_from_the_rest() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.com", "")))


def test_a_token_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_TOKEN", "from the environment")
    assert token_of(None) == "from the environment" and token_of("typed here") == "typed here"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("headers", [[], HERE * 2, [(b"host", b"attacker.example")], [(b"host", b"")]])
def test_who_does_not_say_our_name_once_is_refused(method: str, headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(RefusedError, match="host") as refusal:
        Callers().check_caller(method, headers)
    assert refusal.value.status == 421


@pytest.mark.parametrize(
    "settings",
    [{"host": "0.0.0.0"}, {"token": "short"}, {"token": "ünïcode token"}, {"origins": ("*",)}, {"port": -1}],
)
def test_settings_that_would_be_unsafe_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Callers(**settings)  # type: ignore[arg-type]


def test_only_the_whole_token_is_one() -> None:
    closed = Callers(token="a long secret")
    closed.check_token({"authorization": "Bearer a long secret"})
    for given in ({}, {"authorization": "Bearer a long secre"}, {"authorization": "Basic a long secret"}):
        with pytest.raises(RefusedError, match="token"):
            closed.check_token(given)
