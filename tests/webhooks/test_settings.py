"""`[[webhooks]]`: what is refused, and that no secret is ever repeated."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.config import Settings, load_settings
from gateway.errors import ConfigError
from gateway.webhooks.settings import Webhook

SECRET = "a secret that is long"


def webhook(**given: Any) -> Webhook:
    return Webhook(**{"name": "w", "url": "https://example.com/hooks", "secret": SECRET} | given)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hooks?token=x",
        "http://127.0.0.1:9000/hooks",
        "http://[::1]/",
        "http://10.0.0.7/x",
        "http://192.168.1.2/x",
        "http://orders:8000/x",
        "http://orders.shop.svc.cluster.local/x",
        "http://orders.internal/x",
        "http://localhost/x",
    ],
)
def test_what_may_be_posted_to(url: str):
    assert webhook(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hooks",
        "http://8.8.8.8/x",
        "http://169.254.169.254/x",
        "https://user:pass@example.com/",
        "https://example.com/#part",
        "ftp://example.com/",
        "orders",
        "https://",
        "https://exa mple.com/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "http://internal.example.com/",
    ],
)
def test_what_may_not(url: str):
    with pytest.raises(ValidationError):
        webhook(url=url)


@pytest.mark.parametrize(
    "given",
    [
        {"secret": None},
        {"secret": "too short"},
        {"secret": "whsec_not base64 at all"},
        {"secret": "whsec_c2hvcnQ="},
        {"secret_file": "/no/such/file", "secret": None},
        {"secret_file": "/no/such/file"},
        {"name": "two words"},
        {"colour": "red"},
    ],
)
def test_what_is_no_webhook(given: dict[str, Any]):
    with pytest.raises(ValidationError):
        webhook(**given)


def test_a_secret_from_a_file_is_its_first_line(tmp_path: Path):
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\nand more\n")

    assert webhook(secret=None, secret_file=file).key() == SECRET.encode()


@pytest.mark.parametrize(
    "toml",
    [
        '[webhooks]\nname = "w"\nurl = "https://h/x"\nsecret = "SESAME-SESAME-SESAME"',
        '[[webhooks]]\nname = "w"\nurl = "https://h/x"\nsecret = "SESAME"',
        '[[webhooks]]\nname = "w"\nurl = "https://h/x"\nsecret = ["SESAME-SESAME-SESAME"]',
        '[[webhooks]]\nname = "w"\nurl = "http://h.com/SESAME"\nsecret = "SESAME-SESAME-SESAME"',
        '[[webhooks]]\nname = "w"\nurl = ["http://h.com/SESAME"]\nsecret = "SESAME-SESAME-SESAME"',
        '[[webhooks]]\nname = "w"\nsecret = "SESAME-SESAME-SESAME"',
        'webhooks = "SESAME"',
        '[[classifiers]]\nname = "c"\nmodel = "m"\nlabels = ["a"]\nprompt = "x"\napi_key = "SESAME"',
        '[[classifiers]]\nname = "c"\nmodel = "m"\nlabels = ["a"]\nprompt = "{answer}"\napi_key = ["SESAME"]',
        '[[classifiers]]\nname = "c"\nmodel = "m"\nlabels = ["a"]\nprompt = "{answer}"\nbase_url = "http://u:SESAME@h"',
    ],
)
def test_no_error_repeats_a_secret(toml: str, tmp_path: Path):
    file = tmp_path / "settings.toml"
    file.write_text(f'upstream = "http://localhost"\n{toml}\n')

    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    assert "SESAME" not in str(caught.value)


def test_two_of_one_name_are_refused():
    with pytest.raises(ValidationError, match='"w" is given twice'):
        Settings(upstream="http://h", webhooks=(webhook(), webhook()))


def test_the_settings_do_not_show_it():
    assert SECRET not in repr(Settings(upstream="http://h", webhooks=(webhook(),)))
