import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.batchlimits import BatchLimits, limits_of
from gateway.config import PREFIX, Settings, load_settings
from gateway.errors import ConfigError
from gateway.price import EmbeddingPrice, Price
from gateway.question import Mode, Scrutiny
from gateway.strictness import DEFAULT_KINDS
from gateway.trouble import memory_bytes
from tests.examples import examples

UPSTREAM = "http://localhost:8000"
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "lookalike.toml"


def trouble(config: Path | None = None, **flags: Any) -> str:
    with pytest.raises(ConfigError) as error:
        load_settings(config, **flags)
    return str(error.value)


# Where a setting comes from


def test_without_anything_the_upstream_alone_is_needed() -> None:
    assert trouble() == "upstream: is needed: --upstream, LOOKALIKE_UPSTREAM or `upstream` in the TOML file"
    assert load_settings(upstream=UPSTREAM).upstream == UPSTREAM


def test_flags_beat_the_environment_and_the_environment_beats_the_file(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text('upstream = "http://file"\nport = 1\nhost = "file"\nttl_s = 1\n')
    monkeypatch.setenv(PREFIX + "PORT", "2")
    monkeypatch.setenv(PREFIX + "HOST", "environment")
    settings = load_settings(toml, host="flag")

    assert (settings.upstream, settings.port, settings.host, settings.ttl_s) == ("http://file", 2, "flag", 1)


def test_a_flag_that_was_not_given_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "UPSTREAM", UPSTREAM)

    assert load_settings(upstream=None, port=None).upstream == UPSTREAM


def test_the_file_may_be_named_by_the_environment_and_a_flag_names_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text('upstream = "http://one"')
    other.write_text('upstream = "http://other"')
    monkeypatch.setenv(PREFIX + "CONFIG", str(one))

    assert load_settings().upstream == "http://one"
    assert load_settings(other).upstream == "http://other"


def test_tables_come_from_the_file_and_as_json_from_the_environment(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text(f'upstream = "{UPSTREAM}"\n[prices.qwen]\nper_upstream_hour = 2\ncurrency = "EUR"\n')
    assert {"qwen": Price(per_upstream_hour=2, currency="EUR")} == load_settings(toml).prices

    monkeypatch.setenv(PREFIX + "PRICES", '{"other": {"per_upstream_hour": 1, "currency": "USD"}}')
    assert Price(per_upstream_hour=1, currency="USD") == load_settings(toml).price("other")


def test_lists_and_tables_in_the_environment_work_as_they_are_documented(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text(
        f'upstream = "{UPSTREAM}"\nadmin_origins = ["https://a.test", "https://b.test"]\nthreshold = {{ dct = 0.7 }}\n'
    )
    shown = (ROOT / "docs/configuration.md").read_text("utf-8")
    for name, value in re.findall(r"^export (LOOKALIKE_\w+)='(.+?)'", shown, re.MULTILINE):
        monkeypatch.setenv(name, value)
    settings = load_settings(toml)

    assert settings.admin_origins == ("https://cache.example.org",)
    assert settings.threshold == {"clip": 0.96, "dct": 0.7}
    assert settings.prices["qwen3-vl-8b"].currency == "CNY"
    assert [rule.tag for rule in settings.rules] == [("apple",)]


def test_settings_do_not_change_once_they_are_read() -> None:
    with pytest.raises(ValidationError):
        load_settings(upstream=UPSTREAM).port = 1  # type: ignore[misc]


# Names that do not exist


@pytest.mark.parametrize("name", ["UPSTREM", "PORTS", "", "PRICES__QWEN", "config_file"])
def test_a_variable_that_does_not_exist_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + name, "1")

    assert f"no such setting: {PREFIX}{name} (in the environment)" == trouble(upstream=UPSTREAM)


def test_a_misspelt_variable_in_small_letters_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("lookalike_upstrem", UPSTREAM)

    assert "lookalike_upstrem" in trouble(upstream=UPSTREAM)


def test_a_name_that_does_not_exist_in_the_file_is_named_with_the_file(toml: Path) -> None:
    toml.write_text(f'upstrem = "{UPSTREAM}"\n[prices.qwen]\nper_hour = 2\ncurrency = "EUR"\n')
    words = trouble(toml, upstream=UPSTREAM)

    assert f"upstrem: is no setting (in {toml})" in words
    assert "prices.qwen.per_hour: is no setting" in words


def test_a_flag_that_does_not_exist_is_named() -> None:
    assert trouble(upstream=UPSTREAM, speed=1) == "speed: is no setting"


# Values that cannot work


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("port", -1),
            ("port", 65536),
            ("port", "http"),
            ("ttl_s", 0),
            ("ttl_s", "inf"),
            ("ttl_s", "nan"),
            ("ttl_s", "a day"),
        ),
        *(("mode", "fast"), ("store", "redis"), ("embedder", "blip"), ("clip_device", "tpu"), ("log_level", "loud")),
        *(("guard_limit", 0), ("guard_limit", 0.96), ("privacy", "secret"), ("workers", 0), ("pixels_max", 0)),
        *(
            ("connect_timeout_s", 0),
            ("read_timeout_s", -1),
            ("body_bytes_max", 1),
            ("cache_bytes_max", 1),
            ("prices", []),
        ),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_name(name: str, value: object) -> None:
    words = trouble(**{"upstream": UPSTREAM, name: value})

    assert words.startswith(f"{name}: ")
    assert "got" in words
    assert "\n" not in words


@pytest.mark.parametrize(
    "value",
    [
        *(
            "localhost:8000",
            "ftp://host",
            "http://",
            "//host/v1",
            "host",
            "",
            "http://host:port",
            "http://host:99999999",
        ),
        *(
            "http://host/v1?key=secret",
            "http://host/#secret",
            "http://user:secret@host/v1",
            "http://user:a:secret@host:secret@",
        ),
    ],
)
def test_an_upstream_that_is_no_base_url_is_refused_without_its_secrets(value: str) -> None:
    words = trouble(upstream=value)

    assert words.startswith("upstream: ")
    assert "secret" not in words


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("http://host:8000", "http://host:8000"),
        ("http://host:8000/", "http://host:8000"),
        ("https://host/compatible-mode/v1//", "https://host/compatible-mode/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_an_upstream_is_kept_without_its_last_slash(value: str, kept: str) -> None:
    assert kept == load_settings(upstream=value).upstream


def test_every_trouble_has_its_own_line() -> None:
    assert {"upstream", "port", "mode"} == {line.split(":")[0] for line in trouble(port=-1, mode="x").splitlines()}


@pytest.mark.parametrize("content", [b"upstream = ", b"\xff\xfe", b"[prices", b'upstream = "a"\nupstream = "b"'])
def test_a_file_that_is_no_toml_is_named(toml: Path, content: bytes) -> None:
    toml.write_bytes(content)

    assert trouble(toml).startswith(f"{toml} is not TOML: ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "missing.toml"
    assert f"there is no configuration file {missing}" == trouble(missing)

    monkeypatch.setenv(PREFIX + "CONFIG", str(tmp_path))  # a directory is no file
    assert f"there is no configuration file {tmp_path}" == trouble()


def test_a_table_in_the_environment_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "PRICES", "{secret")
    words = trouble(upstream=UPSTREAM)

    assert "prices" in words
    assert "not JSON" in words
    assert "secret" not in words


# Money


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"input_per_million": 1},
        {"output_per_million": 1},
        {"input_per_million": 0},
        {"output_per_million": 0},
        {"input_per_million": 1, "output_per_million": 1, "per_upstream_hour": 1},
        {"input_per_million": 0, "per_upstream_hour": 1},
        {"input_per_million": -1, "output_per_million": 1},
        {"per_upstream_hour": float("inf")},
        {"per_upstream_hour": float("nan")},
        {"per_upstream_hour": 1, "currency": ""},
        {"per_upstream_hour": 1, "currency": "a long name"},
        {"per_upstream_hour": 1, "currency": None},
    ],
)
def test_a_price_is_either_by_token_or_by_hour_and_in_a_currency(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Price(**({"currency": "EUR"} | fields))


def test_a_price_without_its_currency_is_asked_for_by_name() -> None:
    assert trouble(upstream=UPSTREAM, prices={"qwen": {"per_upstream_hour": 1}}) == "prices.qwen.currency: is needed"


def test_tokens_cost_by_the_million() -> None:
    price = Price(input_per_million=2, output_per_million=10, currency="EUR")

    assert pytest.approx(2 + 5) == price.of(1_000_000, 500_000, upstream_s=9)
    assert price.of(0, 0, upstream_s=9) == 0


def test_what_was_not_counted_has_no_price() -> None:
    price = Price(input_per_million=2, output_per_million=0, currency="EUR")

    assert [price.of(None, 1, 9), price.of(1, None, 9), price.of(None, None, 9)] == [None, None, None]


def test_a_machine_costs_by_the_hour_whatever_was_counted() -> None:
    price = Price(per_upstream_hour=3.6, currency="EUR")

    assert pytest.approx(0.01) == price.of(None, None, upstream_s=10)
    assert price.of(5, 5, upstream_s=10) == price.of(None, None, upstream_s=10)


@examples(40)
@given(*[st.integers(0, 10**9)] * 2, *[st.floats(0, 1000)] * 2)
def test_a_price_grows_with_what_it_is_for(tokens_in: int, tokens_out: int, dear_in: float, dear_out: float) -> None:
    price = Price(input_per_million=dear_in, output_per_million=dear_out, currency="EUR")
    less, more = price.of(tokens_in, tokens_out, 0), price.of(tokens_in + 1000, tokens_out + 1000, 0)

    assert less is not None
    assert more is not None
    assert 0 <= less <= more
    assert pytest.approx(more - less, abs=1e-3 + 1e-9 * more) == (dear_in + dear_out) / 1000


def test_a_price_for_any_model_stands_behind_the_models_own() -> None:
    one, any_other = (Price(per_upstream_hour=hour, currency="EUR") for hour in (1, 2))
    settings = load_settings(upstream=UPSTREAM, prices={"qwen": one, "*": any_other})

    assert [one, any_other] == [settings.price("qwen"), settings.price("another")]
    assert load_settings(upstream=UPSTREAM, prices={"qwen": one}).price("another") is None


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert Mode.NEAR is load_settings(upstream=UPSTREAM).mode


# Thresholds belong to an embedder


@pytest.mark.parametrize(
    ("embedder", "given", "by_embedder"),
    [
        ("auto", 0.97, {"clip": 0.97}),
        ("clip", 0.97, {"clip": 0.97}),
        ("dct", 0.7, {"dct": 0.7}),
        ("auto", {"clip": 0.96, "dct": 0.7}, {"clip": 0.96, "dct": 0.7}),
    ],
)
def test_a_bare_threshold_is_that_of_the_embedder_asked_for(embedder: str, given: Any, by_embedder: Any) -> None:
    assert by_embedder == load_settings(upstream=UPSTREAM, embedder=embedder, threshold=given).threshold


def test_a_threshold_may_come_from_file_and_environment(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text(f'upstream = "{UPSTREAM}"\nthreshold = {{ clip = 0.96, dct = 0.7 }}\n')
    assert load_settings(toml).threshold == {"clip": 0.96, "dct": 0.7}

    monkeypatch.setenv(PREFIX + "THRESHOLD", "0.98")
    assert load_settings(upstream=UPSTREAM).threshold == {"clip": 0.98}


@pytest.mark.parametrize("value", [0, 1.01, "nan", {"clip": 2}, {"blip": 0.9}])
def test_a_threshold_that_cannot_work_is_refused_by_its_name(value: Any) -> None:
    words = trouble(upstream=UPSTREAM, threshold=value)

    assert words.startswith("threshold.")
    assert "got" in words


# Kinds of question


def test_a_default_kind_is_tightened_by_its_name_and_keeps_its_pattern(toml: Path) -> None:
    toml.write_text(f'upstream = "{UPSTREAM}"\n[[questions]]\nname = "reading"\nmode = "pixel"\n')
    kinds = {kind.name: kind for kind in load_settings(toml).questions}

    assert set(kinds) == {"reading", "counting", "comparing", "colour"}
    assert kinds["reading"].mode is Mode.PIXEL
    assert kinds["reading"].pattern == next(kind.pattern for kind in DEFAULT_KINDS if kind.name == "reading")
    assert kinds["counting"] in DEFAULT_KINDS


def test_a_kind_of_ones_own_joins_the_defaults(toml: Path) -> None:
    toml.write_text(
        f'upstream = "{UPSTREAM}"\n[[questions]]\nname = "病理"\npattern = "病|tumou?r"\n'
        'guard = "strict"\nthreshold = 0.99\n'
    )
    own = load_settings(toml).questions[-1]

    assert (own.name, own.mode, own.guard, own.threshold) == ("病理", Mode.NEAR, Scrutiny.STRICT, 0.99)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": "own", "pattern": "(a"}, 'questions.0: "own": the pattern does not compile'),
        ({"name": "reading", "pattern": "*"}, 'questions.0: "reading": the pattern does not compile'),
        ({"name": "own"}, "questions.0.pattern: is needed"),
        ({"pattern": "a"}, "questions.0.name: is needed"),
        ({"name": "two words", "pattern": "a"}, "questions.0.name: "),
        ({"name": "own", "pattern": ""}, "questions.0.pattern: "),
        ({"name": "own", "pattern": "a", "mode": "fast"}, "questions.0.mode: "),
        ({"name": "own", "pattern": "a", "mode": "shadow"}, 'questions.0: "own": mode must be one of off, exact'),
        ({"name": "own", "pattern": "a", "guard": "lax"}, "questions.0.guard: "),
        ({"name": "own", "pattern": "a", "threshold": 1.5}, "questions.0.threshold: "),
        ({"name": "own", "pattern": "a", "rung": "exact"}, "questions.0.rung: is no setting"),
        ("reading", "questions.0: "),
    ],
)
def test_a_kind_that_cannot_work_is_refused_in_words(entry: Any, words: str) -> None:
    assert trouble(upstream=UPSTREAM, questions=[entry]).startswith(words)


def test_a_kind_given_twice_is_refused() -> None:
    assert '"reading" is given twice' in trouble(upstream=UPSTREAM, questions=[{"name": "reading"}] * 2)


def test_a_strict_guard_is_never_laxer_than_the_limit_in_force() -> None:
    settings = load_settings(upstream=UPSTREAM, guard_limit=0.4)

    assert [settings.limit(scrutiny) for scrutiny in Scrutiny] == [0.4, 0.4]
    assert load_settings(upstream=UPSTREAM).limit(Scrutiny.STRICT) == 0.8


# Whose pictures are fetched


def test_nothing_is_fetched_unless_the_operator_says_from_whom() -> None:
    assert load_settings(upstream=UPSTREAM).fetching() is None


@pytest.mark.parametrize("value", ["public", '["images.example.com", "*.cdn.example.com:8443"]', "[]"])
def test_hosts_to_fetch_from_can_be_given_in_the_environment(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "FETCH_PICTURES", value)
    rules = load_settings(upstream=UPSTREAM).fetching()

    assert rules is not None
    assert (rules.hosts is None) == (value == "public")


def test_hosts_to_fetch_from_can_be_given_in_a_file(toml: Path) -> None:
    toml.write_text(
        f'upstream = "{UPSTREAM}"\nfetch_pictures = ["a.test"]\nfetch_private_hosts = ["minio.internal:9000"]'
    )
    rules = load_settings(toml).fetching()

    assert rules is not None
    assert rules.target("http://minio.internal:9000/a").private
    assert not rules.target("https://a.test/a").private


@pytest.mark.parametrize("value", ["images.example.com", "on", "PUBLIC", ""])
def test_a_word_that_is_no_way_to_fetch_is_told(value: str) -> None:
    assert trouble(upstream=UPSTREAM, fetch_pictures=value).startswith(
        'fetch_pictures: give "off", "public", or a list'
    )


@pytest.mark.parametrize("name", ["fetch_pictures", "fetch_private_hosts"])
def test_an_entry_that_is_no_host_is_told(name: str) -> None:
    hosts = {"fetch_pictures": ["ok.test"]} | {name: ["ok.test", "https://evil.test/"]}

    assert f'{name}: "https://evil.test/" is no host' in trouble(upstream=UPSTREAM, **hosts)


def test_private_hosts_alone_open_nothing() -> None:
    assert "set fetch_pictures = []" in trouble(upstream=UPSTREAM, fetch_private_hosts=["minio.internal"])


# What is counted


def test_the_embedders_price_and_the_collectors_address_come_from_the_file(toml: Path) -> None:
    toml.write_text(
        f'upstream = "{UPSTREAM}"\notlp_endpoint = "http://localhost:4318/"\n'
        'embedding_price = { per_hour = 0.5, currency = "EUR" }\n'
        '[prices."*"]\nper_upstream_hour = 2\ngpus = 8\ncurrency = "EUR"\n'
    )
    settings = load_settings(toml)

    assert settings.otlp_endpoint == "http://localhost:4318"
    assert settings.embedding_price == EmbeddingPrice(per_hour=0.5, currency="EUR")
    assert settings.prices["*"].gpus == 8


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("otlp_endpoint", "localhost:4318"),
        ("otlp_endpoint", "http://user:secret@host"),
        ("embedding_price", {"per_hour": -1, "currency": "EUR"}),
        ("embedding_price", {"per_hour": 1}),
        ("prices", {"m": {"per_upstream_hour": 1, "currency": "EUR", "gpus": -1}}),
    ],
)
def test_what_makes_no_sense_there_is_refused_without_repeating_a_password(name: str, value: Any) -> None:
    words = trouble(upstream=UPSTREAM, **{name: value})

    assert words.startswith(name)
    assert "secret" not in words


@pytest.mark.parametrize(
    ("value", "limits"),
    [
        ("off", None),
        ("on", BatchLimits()),
        ('{"concurrency": 9, "keep_s": 3600}', BatchLimits(concurrency=9, keep_s=3600)),
        ("{}", BatchLimits()),
    ],
)
def test_batches_are_turned_on_by_a_word_or_by_their_limits(
    value: str, limits: BatchLimits | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PREFIX + "BATCHES", value)

    assert limits_of(load_settings(upstream=UPSTREAM).batches) == limits


def test_batches_may_be_a_table_of_the_file(toml: Path) -> None:
    toml.write_text(f'upstream = "{UPSTREAM}"\n[batches]\nconcurrency = 2')

    assert load_settings(toml).batches == BatchLimits(concurrency=2)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"batches": "yes"}, "batches: must be 'off' or 'on'"),
        ({"batches": {"concurrency": 0}}, "batches.concurrency: must be at least 1"),
        ({"batches": {"at_once": 3}}, "batches.at_once: is no setting"),
        ({"batches": "on", "privacy": "strict"}, 'privacy = "strict" forbids: turn one of them off'),
        ({"batches": {}, "store": "memory"}, 'store = "memory" writes nothing: use "embedded"'),
    ],
)
def test_batches_that_cannot_be_had_are_refused_at_the_start(given: dict[str, Any], words: str) -> None:
    assert words in trouble(upstream=UPSTREAM, **given)


# In trouble


def test_what_concerns_a_second_upstream_needs_one() -> None:
    for flags in ({"upstream_fallback_same": True}, {"upstream_fallback_on": "errors"}, {"upstream_fallback_key": "k"}):
        assert "need upstream_fallback" in trouble(upstream=UPSTREAM, **flags)
    second = {"upstream_fallback": "http://h/", "upstream_fallback_key": "k"}
    assert "does not show" in trouble(upstream=UPSTREAM, upstream_fallback_same=True, **second)
    assert load_settings(upstream=UPSTREAM, upstream_fallback="http://h/", upstream_fallback_key="k").upstream_fallback


def test_its_key_is_never_repeated() -> None:
    settings = load_settings(upstream=UPSTREAM, upstream_fallback="http://h", upstream_fallback_key="sk-secret")

    assert "sk-secret" not in repr(settings)
    assert "12345" not in trouble(upstream=UPSTREAM, upstream_fallback="http://h", upstream_fallback_key=12345)
    assert "sk-secret" not in trouble(upstream=UPSTREAM, upstream_fallback="http://h:sk-secret@h")


def test_memory_is_the_containers_where_that_is_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr("gateway.trouble._CGROUP", (tmp_path / "none", limit))
    limit.write_text("max\n")
    assert memory_bytes() > 64 * 2**20
    limit.write_text(f"{64 * 2**20}\n")
    assert memory_bytes() == 64 * 2**20
    settings = load_settings(upstream=UPSTREAM)

    assert (settings.held_bytes_max, settings.requests_max) == (32 * 2**20, 256)
