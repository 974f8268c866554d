from pathlib import Path
from typing import Any

import pytest

from gateway.admin.policy import Policy, policy
from gateway.config import Settings
from gateway.errors import ConfigError

TOKEN = "a-token-of-quite-some-length"


def rules(**given: Any) -> Policy:
    return policy(Settings(upstream="http://h", **given))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_a_token_is_optional(host: str):
    assert rules(host=host).token is None
    assert rules(host=host, admin_token=TOKEN).is_token(TOKEN)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "gateway.example", "localhost.example"])
def test_beyond_it_the_settings_have_to_say_what_is_meant(host: str):
    with pytest.raises(ConfigError, match="admin_access"):
        rules(host=host)

    assert rules(host=host, admin_token=TOKEN).token == TOKEN.encode()
    assert rules(host=host, admin_access="off").off
    assert rules(host=host, admin_access="open").token is None


@pytest.mark.parametrize("token", ["", "short", "ü" * 20, "with a space in the middle", "tab\tin the middle.."])
def test_a_token_that_is_easily_guessed_or_sent_wrong_is_refused_and_not_repeated(token: str):
    with pytest.raises(ConfigError, match="at least 16 characters") as wrong:
        rules(admin_token=token)

    assert not token or token not in str(wrong.value)


def test_the_first_line_of_a_file_is_the_token(tmp_path: Path):
    (tmp_path / "token").write_text(f"{TOKEN}\nand a note\n")

    assert rules(admin_token_file=tmp_path / "token").is_token(TOKEN)
    with pytest.raises(ConfigError, match="both given"):
        rules(admin_token_file=tmp_path / "token", admin_token=TOKEN)
    with pytest.raises(ConfigError, match="cannot be read"):
        rules(admin_token_file=tmp_path / "nowhere")


@pytest.mark.parametrize("access", ["off", "open"])
def test_a_token_and_no_need_of_one_contradict_each_other(access: str):
    with pytest.raises(ConfigError, match="contradict"):
        rules(admin_token=TOKEN, admin_access=access)


@pytest.mark.parametrize("origin", ["cache.example.org", "https://", "https://a/path", "ftp://a", "*", "https://a?b"])
def test_an_origin_that_is_none_is_refused(origin: str):
    with pytest.raises(ConfigError, match="is not an origin"):
        rules(admin_origins=[origin])


def test_nobody_has_the_token_where_there_is_none():
    assert not rules().is_token("")


def test_neither_token_nor_anything_of_it_is_shown():
    assert TOKEN not in repr(rules(admin_token=TOKEN))
