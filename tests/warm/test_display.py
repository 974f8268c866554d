"""A run as people see it."""

from io import StringIO

from rich.console import Console

from gateway.bulk.items import Answer, Failure
from gateway.price import Price
from gateway.warm.display import Display, clock, show_dry, show_run, told
from gateway.warm.estimate import Assumed, Estimate
from gateway.warm.rehearse import Rehearsed
from gateway.warm.tally import Tally

PRICE = Price(input_per_million=1.0, output_per_million=2.0, per_upstream_hour=None, currency="CNY")
MISS = Answer("miss", "new-picture", 200, "", "m", 1.0, 1_000_000, 500_000, b"{}")
HIT = Answer("near", None, 200, "", "m", 0.1, 1_000_000, 0, b"{}")


def tally() -> Tally:
    made = Tally(lambda model: PRICE, total=100, before=10)
    for number, result in enumerate([MISS, MISS, HIT, HIT, HIT, Failure("flaky", "x", 503)]):
        made.add(result, float(number))
    return made


def console(terminal: bool) -> tuple[Console, StringIO]:
    file = StringIO()
    return Console(file=file, force_terminal=terminal, width=140, legacy_windows=False), file


def test_one_line_tells_everything():
    assert told(tally()) == ("hits 3  misses 2  failed 1  1.0/s  ETA 0:01:24  spent 4.0000 CNY  saved 3.0000 CNY")


def test_a_terminal_sees_a_bar_and_the_line():
    shown, file = console(terminal=True)
    with Display(shown) as display:
        display.step("asking", 100)
        display.asked(tally(), 5.0)
        display._progress.refresh()
        seen = file.getvalue()

    assert "asking" in seen
    assert "16 of 100" in seen
    assert "hits 3  misses 2  failed 1" in seen
    assert "━" in seen


def test_a_terminal_sees_a_rehearsal():
    shown, file = console(terminal=True)
    with Display(shown) as display:
        display.step("comparing", 50)
        so_far = Rehearsed(new=7)
        so_far.alike["near"] += 3
        display.rehearsed(so_far)
        display._progress.refresh()

    assert "10 of 50" in file.getvalue()
    assert "7 distinct, 3 alike" in file.getvalue()


def test_where_there_is_no_terminal_a_plain_line_comes_now_and_then():
    shown, file = console(terminal=False)
    with Display(shown) as display:
        display.step("asking", 100)
        for second in range(25):
            display.asked(tally(), float(second))

    assert file.getvalue().splitlines() == ["asking", *[f"16 of 100: {told(tally())}"] * 2]


def test_the_table_at_the_end_names_every_reason():
    shown, file = console(terminal=False)
    show_run(tally(), shown)
    seen = file.getvalue()

    assert "near 3" in seen
    assert "new-picture 2" in seen
    assert "flaky 1" in seen
    assert "4.0000 CNY" in seen


def test_answers_without_a_price_are_told_beside_the_sum():
    shown, file = console(terminal=False)
    show_run(Tally(lambda model: None, spent={"CNY": 1.0}, unpriced=2), shown)

    assert "1.0000 CNY  not counted, having no price: 2 (`prices` in the settings)" in file.getvalue()


def test_an_estimate_says_what_it_assumes():
    shown, file = console(terminal=False)
    estimate = Estimate(Assumed(200, 2.0), lambda model: PRICE)
    for _ in range(10):
        estimate.add("m", [(1024, 1024)], 35)
    show_dry([("questions", 10, "")], estimate, estimate.seconds(5, None), shown)
    seen = file.getvalue()

    assert "10,340" in seen  # 32 x 32 blocks and ten tokens of text, ten times
    assert "0.0143 CNY" in seen
    assert "0:00:04" in seen
    assert "200 an answer" in seen


def test_an_unknown_price_is_unknown():
    shown, file = console(terminal=False)
    estimate = Estimate(Assumed(), lambda model: None)
    estimate.add("m", [None], 0)
    show_dry([], estimate, 3.0, shown)

    assert "unknown" in file.getvalue()


def test_the_rate_limits_the_time_and_concurrency_shortens_it():
    estimate = Estimate(Assumed(seconds=2.0), lambda model: None, calls=100)

    assert estimate.seconds(10, None) == 20.0
    assert estimate.seconds(10, 2.0) == 51.5  # the last begins after 99 gaps, and is then answered


def test_no_run_is_shorter_than_one_answer():
    estimate = Estimate(Assumed(seconds=3.0), lambda model: None, calls=4)

    assert estimate.seconds(10, None) == 3.0
    assert Estimate(Assumed(seconds=3.0), lambda model: None).seconds(10, None) == 0.0


def test_what_a_machines_hours_cost_is_spent_by_the_model_and_not_saved_by_the_gateways_seconds():
    hourly = Price(input_per_million=None, output_per_million=None, per_upstream_hour=3600.0, currency="USD")
    made = Tally(lambda model: hourly)
    made.add(MISS, 0.0)
    made.add(HIT, 1.0)

    assert (made.spent, made.saved, made.unpriced) == ({"USD": 1.0}, {}, 0)


def test_a_time_is_hours_minutes_seconds():
    assert [clock(0.4), clock(61), clock(36_061)] == ["0:00:00", "0:01:01", "10:01:01"]
