"""How long a request waits for the cache: fully, until some have waited in vain; then hardly, but for one at a time."""

from gateway.patience import OVERRUNS, PAUSE_S, SHORT_S, Allowance, Patience


class Watch:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def stick(patience: Patience) -> None:
    for _ in range(OVERRUNS):
        patience.told(patience.allowance(), overran=True)


def test_every_lookup_has_full_patience_while_none_overruns() -> None:
    patience = Patience(3.0, Watch())
    for _ in range(3):
        allowance = patience.allowance()
        assert allowance == Allowance(3.0)
        patience.told(allowance, overran=False)

    assert not patience.is_short


def test_after_some_overran_the_others_hardly_wait() -> None:
    patience = Patience(3.0, Watch())
    stick(patience)

    assert [patience.allowance() for _ in range(3)] == [Allowance(SHORT_S)] * 3
    assert patience.is_short


def test_what_is_quick_all_the_same_does_not_show_that_it_is_over() -> None:
    patience = Patience(3.0, Watch())
    stick(patience)
    patience.told(patience.allowance(), overran=False)

    assert patience.allowance() == Allowance(SHORT_S)


def test_one_probe_at_a_time_sees_whether_it_is_over() -> None:
    watch = Watch()
    patience = Patience(3.0, watch)
    stick(patience)
    watch.now_s += PAUSE_S

    probe = patience.allowance()
    assert probe == Allowance(3.0, is_probe=True)
    assert patience.allowance() == Allowance(SHORT_S)
    patience.told(probe, overran=True)
    assert patience.allowance() == Allowance(SHORT_S)

    watch.now_s += PAUSE_S
    patience.told(patience.allowance(), overran=False)
    assert patience.allowance() == Allowance(3.0)


def test_a_probe_of_which_nothing_is_heard_is_followed_by_another() -> None:
    watch = Watch()
    patience = Patience(3.0, watch)
    stick(patience)
    watch.now_s += PAUSE_S
    assert patience.allowance().is_probe

    watch.now_s += PAUSE_S
    assert patience.allowance().is_probe


def test_too_little_time_shows_nothing() -> None:
    watch = Watch()
    patience = Patience(3.0, watch)
    stick(patience)
    watch.now_s += PAUSE_S - 1
    stick(patience)
    watch.now_s += 1

    assert patience.allowance().is_probe


def test_whoever_is_impatient_already_stays_so() -> None:
    patience = Patience(0.1, Watch())
    stick(patience)

    assert patience.allowance() == Allowance(0.1)


def test_one_that_overran_now_and_then_shows_nothing() -> None:
    watch = Watch()
    patience = Patience(3.0, watch)
    for _ in range(10):
        patience.told(patience.allowance(), overran=True)
        watch.now_s += PAUSE_S

    assert patience.allowance() == Allowance(3.0)
