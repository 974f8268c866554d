from hypothesis import given
from hypothesis import strategies as st

from gateway.admin.sessions import LASTS_S, Session, Sessions
from tests.examples import examples

SECRET, TOKEN, NOW_S = b"s" * 32, b"a-token-of-quite-some-length", 1_700_000_000.0


def test_a_session_is_read_back_until_it_ends():
    sessions = Sessions(SECRET, TOKEN)
    session = sessions.begin(NOW_S)
    cookie = sessions.cookie(session)

    assert sessions.read(cookie, NOW_S + LASTS_S - 1) == session
    assert sessions.read(cookie, NOW_S + LASTS_S) is None


def test_another_store_or_another_token_reads_none_of_it():
    cookie = Sessions(SECRET, TOKEN).cookie(Session("0" * 32, int(NOW_S) + 9))

    assert Sessions(SECRET, TOKEN).read(cookie, NOW_S) is not None
    assert Sessions(b"x" * 32, TOKEN).read(cookie, NOW_S) is None
    assert Sessions(SECRET, TOKEN + b"x").read(cookie, NOW_S) is None


def test_a_log_out_is_remembered_as_long_as_the_cookie_would_have_held():
    sessions = Sessions(SECRET, TOKEN)
    first, second = sessions.begin(NOW_S), sessions.begin(NOW_S)
    sessions.end(first, NOW_S)
    sessions.end(sessions.begin(NOW_S), NOW_S)

    assert sessions.read(sessions.cookie(first), NOW_S) is None
    assert sessions.read(sessions.cookie(second), NOW_S) == second


def test_the_token_of_a_page_is_that_of_its_session_alone_and_is_no_cookie():
    sessions = Sessions(SECRET, TOKEN)
    one, other = sessions.begin(NOW_S), sessions.begin(NOW_S)

    assert sessions.is_csrf(one, sessions.csrf(one))
    assert not sessions.is_csrf(one, sessions.csrf(other))
    assert sessions.read(f"{one.expires_s}.{one.number}.{sessions.csrf(one)}", NOW_S) is None


@examples(200)
@given(st.text(), st.integers(0, 200))
def test_no_cookie_that_was_made_up_or_changed_is_a_session(text: str, at: int):
    sessions = Sessions(SECRET, TOKEN)
    cookie = sessions.cookie(Session("0" * 32, int(NOW_S) + 9))
    changed = cookie[:at] + text + cookie[at + len(text) :]

    assert sessions.read(text, NOW_S) is None
    assert changed == cookie or sessions.read(changed, NOW_S) is None
