import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.breaker import Breaker, Closed, Ending, HalfOpen, Open, Refused, Terms, Ticket

TERMS = Terms(failures=3, open_s=10.0, probes=2)


def admitted(breaker: Breaker, now_s: float) -> Ticket:
    ticket = breaker.admit(now_s)
    assert isinstance(ticket, Ticket)
    return ticket


def opened(now_s: float = 0.0) -> Breaker:
    breaker = Breaker(TERMS)
    for _ in range(TERMS.failures):
        breaker.settle(admitted(breaker, now_s), Ending.BAD, now_s)
    return breaker


def test_failures_in_a_row_open_it_and_it_says_how_long_to_wait() -> None:
    breaker = opened(now_s=100.0)

    assert breaker.admit(104.0) == Refused(6.0)
    assert breaker.opened == 1


def test_a_success_between_failures_starts_the_count_anew() -> None:
    breaker = Breaker(TERMS)
    for ending in (Ending.BAD, Ending.BAD, Ending.GOOD, Ending.BAD, Ending.BAD):
        breaker.settle(admitted(breaker, 0.0), ending, 0.0)

    assert breaker.state == Closed(2)


def test_a_client_that_leaves_counts_for_nothing() -> None:
    breaker = Breaker(TERMS)
    for ending in (Ending.BAD, Ending.BAD, Ending.UNKNOWN, Ending.UNKNOWN):
        breaker.settle(admitted(breaker, 0.0), ending, 0.0)

    assert breaker.state == Closed(2)


def test_after_its_time_a_few_may_try_and_the_first_success_closes_it() -> None:
    breaker = opened()
    probes = [admitted(breaker, 10.0), admitted(breaker, 10.0)]

    assert breaker.admit(10.0) == Refused(10.0)
    breaker.settle(probes[1], Ending.GOOD, 11.0)
    assert breaker.state == Closed()
    breaker.settle(probes[0], Ending.BAD, 12.0)  # of a round that is over
    assert breaker.state == Closed()


def test_a_probe_that_fails_opens_it_again() -> None:
    breaker = opened()
    breaker.settle(admitted(breaker, 10.0), Ending.BAD, 11.0)

    assert breaker.admit(20.9) == Refused(21.0 - 20.9)
    assert breaker.opened == 2
    assert isinstance(breaker.admit(21.0), Ticket)


def test_a_probe_whose_client_leaves_gives_its_place_to_another() -> None:
    breaker = opened()
    probes = [admitted(breaker, 10.0), admitted(breaker, 10.0)]
    breaker.settle(probes[0], Ending.UNKNOWN, 10.5)

    assert isinstance(breaker.admit(10.5), Ticket)
    assert isinstance(breaker.admit(10.5), Refused)


def test_probes_that_take_long_hold_nobody_up_and_may_yet_succeed() -> None:
    breaker = opened()
    slow = [admitted(breaker, 10.0), admitted(breaker, 10.0)]

    assert isinstance(breaker.admit(20.0), Ticket)
    breaker.settle(slow[0], Ending.GOOD, 60.0)
    assert breaker.state == Closed()


def test_what_was_sent_before_it_opened_neither_closes_nor_prolongs_it() -> None:
    breaker = Breaker(TERMS)
    late = [admitted(breaker, 0.0), admitted(breaker, 0.0)]
    for _ in range(TERMS.failures):
        breaker.settle(admitted(breaker, 0.0), Ending.BAD, 0.0)
    breaker.settle(late[0], Ending.BAD, 9.0)
    breaker.settle(late[1], Ending.GOOD, 9.0)

    assert breaker.state == Open(10.0)


class Traffic(RuleBasedStateMachine):
    """Any requests, ending in any way and order, beside a plain account of what has happened."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(TERMS)
        self.now_s = 0.0
        self.under_way: list[Ticket] = []
        self.bad_in_a_row = 0

    @rule(seconds=st.integers(0, 15))
    def time_passes(self, seconds: int) -> None:
        self.now_s += seconds

    @rule()
    def one_asks(self) -> None:
        closed = isinstance(self.breaker.state, Closed)
        match self.breaker.admit(self.now_s):
            case Refused(wait_s):
                assert not closed
                assert 0 < wait_s <= TERMS.open_s
            case ticket:
                self.under_way.append(ticket)

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0), ending=st.sampled_from(Ending))
    def one_ends(self, which: int, ending: Ending) -> None:
        before = self.breaker.state
        ticket = self.under_way.pop(which % len(self.under_way))
        self.breaker.settle(ticket, ending, self.now_s)
        match ending:
            case Ending.BAD if isinstance(before, Closed):
                self.bad_in_a_row += 1
            case Ending.GOOD:
                self.bad_in_a_row = 0
            case _:
                pass
        if isinstance(before, Closed) and isinstance(self.breaker.state, Open):
            assert self.bad_in_a_row >= TERMS.failures
            self.bad_in_a_row = 0

    @invariant()
    def it_never_stays_shut(self) -> None:
        match self.breaker.state:
            case Closed(failures):
                assert failures < TERMS.failures
            case Open(until_s):
                assert until_s <= self.now_s + TERMS.open_s
            case HalfOpen(probes, until_s):
                assert 0 <= probes <= TERMS.probes
                assert until_s <= self.now_s + TERMS.open_s


TestTraffic = Traffic.TestCase
