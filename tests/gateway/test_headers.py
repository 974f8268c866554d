import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import headers
from gateway.errors import CallerError
from gateway.question import Bypass, Mode, Scrutiny, Wishes
from gateway.tenants import Credential
from tests.examples import examples

INF = float("inf")


def raw(*lines: str) -> list[tuple[bytes, bytes]]:
    """ASGI's shape of `name: value` lines."""
    pairs = [line.partition(":") for line in lines]
    return [(name.lower().encode(), value.strip().encode("latin-1")) for name, _, value in pairs]


def names(found: headers.Raw) -> list[str]:
    return [name.decode() for name, _ in found]


# One connection and the next


@pytest.mark.parametrize(
    "line",
    [
        *(
            "Connection: keep-alive",
            "Keep-Alive: timeout=5",
            "Proxy-Authenticate: Basic",
            "Proxy-Authorization: Basic eA==",
        ),
        *(
            "Proxy-Connection: close",
            "TE: trailers",
            "Trailer: x-end",
            "Transfer-Encoding: chunked",
            "Upgrade: websocket",
        ),
    ],
)
def test_a_field_of_one_connection_goes_no_further(line: str) -> None:
    fields = raw(line, "Content-Type: application/json")

    assert names(headers.to_upstream(fields, readable=True)) == ["content-type"]
    assert names(headers.to_client(fields, 200)) == ["content-type"]


@pytest.mark.parametrize("value", ["X-Mine", "close, X-Mine", "keep-alive , x-mine ,X-Other", ",x-mine,", "X-MINE"])
def test_a_field_that_connection_names_goes_no_further(value: str) -> None:
    fields = raw("X-Mine: 1", f"Connection: {value}", "X-Yours: 2")

    assert names(headers.end_to_end(fields)) == ["x-yours"]


def test_every_connection_field_is_read() -> None:
    fields = raw("Connection: x-a", "Connection: x-b", "X-A: 1", "X-B: 2", "X-C: 3")

    assert headers.end_to_end(fields) == [(b"x-c", b"3")]


def test_a_servers_names_are_read_in_any_case() -> None:
    fields = [(b"Connection", b"X-Mine"), (b"X-Mine", b"1"), (b"Transfer-Encoding", b"chunked"), (b"X-Yours", b"2")]

    assert headers.to_client(fields, 200) == [(b"x-yours", b"2")]


def test_order_repetition_and_bytes_of_all_other_fields_are_kept() -> None:
    fields = [
        (b"set-cookie", b"a=1"),
        (b"x", b"\xe9 "),
        (b"set-cookie", b"b=2"),
        (b"content-length", b"7"),
        (b"x", b""),
    ]

    assert fields == headers.to_client(fields, 200)
    assert fields == headers.to_upstream(fields, readable=True)


def test_host_expect_and_our_own_field_stay_here() -> None:
    fields = raw(
        "Host: gateway", "Expect: 100-continue", "X-Lookalike-Mode: exact", "Authorization: Bearer k", "Cookie: a"
    )

    assert names(headers.to_upstream(fields, readable=False)) == ["authorization", "cookie"]


@pytest.mark.parametrize(
    ("asked", "passed"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip, deflate"),
        ("GZIP;q=0.5 , br;q=1, identity", "GZIP;q=0.5, identity"),
        ("br", "identity"),
        ("*", "identity"),
        ("", "identity"),
        ("gzipx, xgzip", "identity"),
    ],
)
def test_only_codings_that_can_be_read_back_are_asked_for(asked: str, passed: str) -> None:
    fields = raw(f"Accept-Encoding: {asked}")

    assert [(b"accept-encoding", passed.encode())] == headers.to_upstream(fields, readable=True)
    assert [(b"accept-encoding", asked.encode())] == headers.to_upstream(fields, readable=False)


def test_a_client_that_asked_for_no_coding_gets_none() -> None:
    assert headers.to_upstream([], readable=True) == []


# Who is asking


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key"])
def test_another_credential_is_another_caller(name: str) -> None:
    nobody, one, other = (headers.credential(raw(*lines)) for lines in ([], [f"{name}: a"], [f"{name}: b"]))

    assert nobody == Credential(b"")
    assert len({nobody, one, other}) == 3


def test_the_same_value_as_another_kind_of_credential_is_another_caller() -> None:
    assert headers.credential(raw("Api-Key: k")) != headers.credential(raw("X-Api-Key: k"))


def test_all_credentials_count_in_any_order() -> None:
    both = headers.credential(raw("Authorization: a", "X-Api-Key: b"))

    assert both == headers.credential(raw("X-Api-Key: b", "Authorization: a"))
    assert both not in (headers.credential(raw("Authorization: a")), headers.credential(raw("X-Api-Key: b")))
    assert headers.credential(raw("Authorization: a", "Authorization: b")) != headers.credential(
        raw("Authorization: b")
    )


def test_what_changes_from_call_to_call_says_nothing_of_the_caller() -> None:
    same = raw(
        "Authorization: a", "Cookie: session=1", "User-Agent: x", "X-Stainless-Retry-Count: 2", "X-Request-Id: 7"
    )

    assert headers.credential(raw("Authorization: a")) == headers.credential(same)
    assert headers.partitions(same, "") == ()


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "Proxy-Authorization", "Cookie"),
    ],
)
def test_no_credential_is_shown_to_a_dialect_or_put_among_the_partitions(name: str) -> None:
    fields = raw(f"{name}: secret", "Content-Type: application/json")

    assert headers.readable(fields) == {"content-type": "application/json"}
    assert "secret" not in str(headers.partitions(fields, "a=b"))


@pytest.mark.parametrize(
    "name",
    [
        *("OpenAI-Organization", "OpenAI-Project", "X-DashScope-WorkSpace", "X-Project-Name", "anthropic-version"),
        *("X-DashScope-DataInspection", "X-Ark-Moderation-Scene", "azureml-model-deployment", "extra-parameters"),
        *(
            "X-Project-Id",
            "X-Goog-User-Project",
            "anthropic-workspace-id",
            "X-Organisation",
            "X-Tenant-Id",
            "anthropic-beta",
        ),
        *("OpenAI-Beta", "X-Account-Id"),
    ],
)
def test_an_account_within_the_account_is_a_partition(name: str) -> None:
    assert ((name.lower(), "a"),) == headers.partitions(raw(f"{name}: a"), "")
    assert headers.partitions(raw(f"{name}: a"), "") != headers.partitions(raw(f"{name}: b"), "")


@pytest.mark.parametrize("name", ["key", "api_key", "api-key", "apikey", "API_KEY", "access_token", "k%65y"])
def test_a_key_in_the_query_is_a_credential_and_no_partition(name: str) -> None:
    query = f"v=1&{name}=secret&w=2"

    assert headers.credential([], query) not in (Credential(b""), headers.credential([], f"{name}=other"))
    assert headers.credential([], query).beside == b""
    assert headers.partitions([], query) == headers.partitions([], "v=1&w=2") == (("?", "v=1&w=2"),)
    assert headers.without_keys(query) == "v=1&w=2"


@pytest.mark.parametrize("name", ["token", "sig", "code", "X-Amz-Signature", "password", "max_tokens"])
def test_what_may_be_more_than_a_key_is_both(name: str) -> None:
    found = headers.credential([], f"{name}=a")

    assert found.whole == found.beside == f"?{name}=a".encode()
    assert headers.partitions([], f"{name}=a") == (("?", f"{name}=a"),)


def test_no_parameter_passes_for_two() -> None:
    assert headers.credential([], "key=a%0A?sig=b") != headers.credential([], "key=a&sig=b")


def test_plain_keys_may_differ_among_those_who_share_and_other_credentials_may_not() -> None:
    key, both = (
        headers.credential(raw("Authorization: a")),
        headers.credential(raw("Authorization: a", "X-Token-Kind: b")),
    )

    assert (key.beside, both.beside) == (b"", b"x-token-kind:b")
    assert headers.credential(raw("Cookie: s=1")).beside == b"cookie:s=1"


@pytest.mark.parametrize("name", ["x-functions-key", "x-auth-key", "x-forwarded-user", "remote-user", "X-Api_Key"])
def test_other_ways_to_say_who_asks(name: str) -> None:
    assert headers.credential(raw(f"{name}: a")).whole
    assert headers.readable(raw(f"{name}: a")) == {}


@pytest.mark.parametrize("name", ["Idempotency-Key", "x-smg-routing-key", "X-Client-Request-Id"])
def test_what_is_new_with_each_call_is_no_credential(name: str) -> None:
    assert headers.credential(raw(f"{name}: a")) == Credential(b"")
    assert headers.partitions(raw(f"{name}: a"), "") == ()


def test_a_digest_of_the_body_vouches_for_its_bytes() -> None:
    assert headers.seals_body(headers.readable(raw("Content-MD5: Q2hlY2s=")))
    assert not headers.seals_body(headers.readable(raw("Content-Type: application/json")))


def test_the_query_is_a_partition_and_order_of_fields_is_not() -> None:
    fields = raw("OpenAI-Project: p", "OpenAI-Organization: o")

    assert headers.partitions(fields, "api-version=1") == headers.partitions(fields[::-1], "api-version=1")
    assert headers.partitions(fields, "api-version=1") != headers.partitions(fields, "api-version=2")
    assert headers.partitions(fields, "api-version=1") != headers.partitions(fields, "")


def test_repeated_fields_are_read_as_one_list() -> None:
    assert headers.readable(raw("X-A: 1", "X-A: 2")) == {"x-a": "1, 2"}


# Why the cache is not asked


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("Range: bytes=0-", Bypass.RANGE_OR_UPGRADE),
        ("Upgrade: websocket", Bypass.RANGE_OR_UPGRADE),
        ("Upgrade: h2c", None),
        ("X-DashScope-Async: enable", Bypass.STATEFUL),
        ("X-Conversation-Id: c", Bypass.STATEFUL),
        ("Content-Encoding: zstd", Bypass.ENCODED_BODY),
        ("Content-Encoding: gzip", Bypass.ENCODED_BODY),
        ("X-Body-Compressed: zstd", Bypass.ENCODED_BODY),
        ("X-DashScope-EncryptionKey: k", Bypass.ENCODED_BODY),
        ("X-Is-Encrypted: true", Bypass.ENCODED_BODY),
        ("X-Encrypt-Info: i", Bypass.ENCODED_BODY),
        ("X-Session-Token: t", Bypass.ENCODED_BODY),
        ("Content-Encoding: identity", None),
        ("Content-Encoding:  Identity ", None),
        ("Accept-Encoding: gzip", None),
        ("Idempotency-Key: 7", None),
    ],
)
def test_a_header_may_be_reason_enough_not_to_ask(line: str, why: Bypass | None) -> None:
    assert why is headers.bypass(raw("Host: h", line))


# What the caller wishes


@pytest.mark.parametrize(
    ("line", "wishes"),
    [
        ("", Wishes()),
        ("no-cache", Wishes(no_cache=True)),
        ("No-Cache", Wishes(no_cache=True)),
        ('no-cache="x"', Wishes(no_cache=True)),
        ("no-store", Wishes(no_store=True)),
        ("no-cache,no-store", Wishes(no_cache=True, no_store=True)),
        (" no-store , only-if-cached ", Wishes(no_store=True, only_if_cached=True)),
        ("max-age=60", Wishes(max_age_s=60)),
        ('MAX-AGE="60"', Wishes(max_age_s=60)),
        ("max-age = 60", Wishes(max_age_s=60)),
        ("max-age=0", Wishes(max_age_s=0)),
        ("min-fresh=5, max-age=7", Wishes(max_age_s=7, min_fresh_s=5)),
        ("max-stale=100", Wishes()),
        ("stale-if-error=30", Wishes(stale_if_error_s=30)),
        ("stale-if-error=soon", Wishes(stale_if_error_s=0)),
        ("no-transform, x-unknown=1", Wishes()),
        ("not-no-cache, no-cachex", Wishes()),
        (",,,=,", Wishes()),
    ],
)
def test_the_words_of_cache_control_are_understood(line: str, wishes: Wishes) -> None:
    assert wishes == headers.wishes(raw(f"Cache-Control: {line}"))


@pytest.mark.parametrize("value", ["", "-1", "1.5", "1e3", "ten", "٣", "0x10", "+1", "1 2", "60s"])
def test_seconds_that_cannot_be_read_count_as_the_strictest(value: str) -> None:
    encoded = [(b"cache-control", f"max-age={value}, min-fresh={value}".encode())]

    assert Wishes(max_age_s=0, min_fresh_s=INF) == headers.wishes(encoded)
    assert Wishes(max_age_s=0, min_fresh_s=INF) == headers.wishes(raw("Cache-Control: max-age, min-fresh"))


def test_of_a_directive_said_twice_the_first_counts() -> None:
    assert Wishes(max_age_s=0) == headers.wishes(raw("Cache-Control: max-age=0, max-age=100"))
    assert Wishes(max_age_s=0) == headers.wishes(raw("Cache-Control: max-age=0", "Cache-Control: max-age=100"))


def test_every_cache_control_field_is_read() -> None:
    assert Wishes(no_cache=True, no_store=True) == headers.wishes(
        raw("Cache-Control: no-cache", "Cache-Control: no-store")
    )


def test_pragma_speaks_only_where_cache_control_is_silent() -> None:
    assert headers.wishes(raw("Pragma: No-Cache")).no_cache
    assert not headers.wishes(raw("Pragma: no-cache", "Cache-Control: max-age=5")).no_cache
    assert not headers.wishes(raw("Pragma: x")).no_cache


@pytest.mark.parametrize("mode", Mode.callers())
def test_each_mode_can_be_asked_for_in_any_case(mode: Mode) -> None:
    assert mode is headers.wishes(raw(f"X-Lookalike-Mode:  {mode.upper()} ")).mode


@pytest.mark.parametrize("value", ["", "fast", "exact, off", "near;q=1", "0"])
def test_a_mode_that_does_not_exist_is_the_callers_error(value: str) -> None:
    with pytest.raises(CallerError, match="off, exact, pixel, near"):
        headers.wishes(raw(f"X-Lookalike-Mode: {value}"))


def test_of_two_modes_the_stricter_counts() -> None:
    assert Mode.EXACT is headers.wishes(raw("X-Lookalike-Mode: exact", "X-Lookalike-Mode: near")).mode
    assert Mode.OFF is headers.wishes(raw("X-Lookalike-Mode: near", "X-Lookalike-Mode: off")).mode


@pytest.mark.parametrize(
    ("value", "cosine"), [("0.97", 0.97), (" 1 ", 1.0), (".5", 0.5), ("1.0", 1.0), ("0.95", 0.95), ("1.", 1.0)]
)
def test_a_threshold_is_a_cosine(value: str, cosine: float) -> None:
    assert cosine == headers.wishes(raw(f"X-Lookalike-Threshold: {value}")).threshold


@pytest.mark.parametrize(
    "value", ["", "0", "0.0", "-0.5", "1.01", "97", "nan", "inf", "1e-1", "0,9", "0_9", "٠.٩", ".", "0.9, 0.95", "high"]
)
def test_a_threshold_that_is_no_cosine_is_the_callers_error(value: str) -> None:
    with pytest.raises(CallerError, match=r"0\.97"):
        headers.wishes([(b"x-lookalike-threshold", value.encode())])


@examples(100)
@given(st.binary(max_size=12))
def test_whatever_a_threshold_says_it_is_a_cosine_or_the_callers_error(value: bytes) -> None:
    try:
        threshold = headers.wishes([(b"x-lookalike-threshold", value)]).threshold
    except CallerError:
        return
    assert 0 < threshold <= 1


def test_of_two_thresholds_the_higher_counts() -> None:
    assert headers.wishes(raw("X-Lookalike-Threshold: 0.97", "X-Lookalike-Threshold: 0.9")).threshold == 0.97


def test_a_strict_guard_can_be_asked_for() -> None:
    assert Scrutiny.STRICT is headers.wishes(raw("X-Lookalike-Guard: Strict")).scrutiny
    assert Scrutiny.STRICT is headers.wishes(raw("X-Lookalike-Guard: strict", "X-Lookalike-Guard: normal")).scrutiny
    assert Scrutiny.NORMAL is headers.wishes(raw("X-Lookalike-Guard: normal")).scrutiny
    with pytest.raises(CallerError, match="normal, strict"):
        headers.wishes(raw("X-Lookalike-Guard: lax"))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), [(b"authorization", b"Bearer theirs")]),
        (("Authorization: Bearer mine", "Cookie: mine=1"), [(b"authorization", b"Bearer theirs")]),
        (("X-Api-Key: mine", "Authorization: Bearer mine"), [(b"x-api-key", b"theirs")]),
        (("Api-Key: mine", "Accept: */*"), [(b"accept", b"*/*"), (b"api-key", b"theirs")]),
    ],
)
def test_another_credential_takes_the_place_of_every_one_there_was(
    lines: tuple[str, ...], expected: list[tuple[bytes, bytes]]
) -> None:
    assert expected == headers.with_key(raw(*lines), "theirs")


def test_no_wish_of_ours_travels_on() -> None:
    ours = raw("X-Lookalike-Mode: exact", "X-Lookalike-Guard: strict", "X-Lookalike-Threshold: 0.9", "X-Other: 1")

    assert headers.to_upstream(ours, readable=False) == raw("X-Other: 1")


@given(st.sampled_from(list(Mode)), st.sampled_from(Mode.callers()))
def test_a_caller_can_only_make_the_mode_stricter(operators: Mode, callers: Mode) -> None:
    order = [Mode.OFF, Mode.EXACT, Mode.PIXEL, Mode.NEAR]
    climbs = Mode.NEAR if operators is Mode.SHADOW else operators

    assert min(order.index(climbs), order.index(callers)) == order.index(operators.stricter(callers))


def test_shadow_is_not_a_callers_to_ask_for() -> None:
    with pytest.raises(CallerError, match=r"off, exact, pixel, near$"):
        headers.wishes(raw("X-Lookalike-Mode: shadow"))


@examples(60)
@given(st.binary(max_size=40))
def test_no_value_of_cache_control_is_an_error(value: bytes) -> None:
    found = headers.wishes([(b"cache-control", value), (b"pragma", value)])

    assert found.min_fresh_s >= 0
    assert found.max_age_s is None or found.max_age_s >= 0


def test_the_length_of_a_body_that_was_changed_here_is_counted_anew() -> None:
    fields = [(b"content-length", b"10"), (b"x-length", b"9")]

    assert headers.fitting(fields, 10) == fields
    assert headers.fitting(fields, 11) == [(b"x-length", b"9")]
