"""From an outcome to counts: the only file that says what is counted, and under which key. Pure.

A tally is a Counter of whole numbers (microseconds, billionths of a currency's unit, bins of histograms), so that
tallies add up exactly, in any order and over any span of time. `figures.py` reads them.
"""

from collections import Counter
from collections.abc import Iterable
from typing import assert_never

from gateway.histogram import bin_of
from gateway.names import NONE, By
from gateway.outcome import HitClass, Outcome, Saved
from gateway.shadow import Kind

Tally = Counter[str]

MICRO = 1_000_000  # of a second
_SECONDS_MOST = 1e9  # of one request: more is a clock that was set, or no number
NANO = 1_000_000_000  # of a currency's unit: a token may cost less than a millionth
TENANT_DIGITS = 12
HIT = "hit"
STAGES_BY = (By.HIT_CLASS, By.MODEL)  # divisions whose groups have stages


def names(outcome: Outcome) -> list[tuple[By, str]]:
    """Under which names an outcome is counted: one of each division, except that it may be of several kinds."""
    return [
        (By.HIT_CLASS, outcome.hit_class.value),
        (By.MODEL, NONE if outcome.model is None else outcome.model),
        (By.TENANT, outcome.tenant or NONE),
        (By.DIALECT, outcome.dialect or NONE),
        (By.REASON, outcome.reason or (HIT if outcome.hit_class.is_hit else NONE)),
        *((By.KIND, kind) for kind in outcome.kinds or (NONE,)),
    ]


def tally(outcome: Outcome) -> Tally:
    made = Tally(requests=1)
    _class(made, outcome)
    if outcome.error:
        made[f"error/{outcome.error}"] += 1
    if outcome.stale:
        made["stale"] += 1
    if outcome.fallback:
        made["fallback"] += 1
    if outcome.stored:
        made["stored"] += 1
        for size in outcome.evidence_bytes:
            measure(made, "evidence", size)
    if outcome.alone:
        made[f"alone/{outcome.alone}"] += 1
    if outcome.unstored:
        made[f"unstored/{outcome.unstored}"] += 1
    _rules(made, outcome)
    for name, seconds in outcome.stages_s.items():
        measure(made, f"stage/{name}", _micro(seconds))
    if spent_s := outcome.spent.embedding_s:
        made["embedding_us"] += _micro(spent_s)
        if (money := outcome.spent.money) is None:
            made["embedding_us_without_price"] += _micro(spent_s)
        else:
            made[f"spent/{money.currency}"] += _nano(money.amount)
    return made


def tagged(tags: Iterable[str]) -> Tally:
    """Tags that became known only once their request was counted."""
    return Counter(f"tag/{tag}" for tag in tags)


def without_stages(counts: Tally) -> Tally:
    """Stages are most of a tally, and of little use by tenant or reason."""
    return Counter({key: count for key, count in counts.items() if not key.startswith("stage/")})


def measure(made: Tally, what: str, value: int) -> None:
    """Add a value to a histogram, with its sum for the mean."""
    made[f"{what}/sum"] += value
    made[f"{what}/bin/{bin_of(value)}"] += 1


def _class(made: Tally, outcome: Outcome) -> None:
    """What is counted of each class. Shadow mode has counts of its own: its would-be hits are no hits."""
    latency_us = _micro(outcome.seconds)
    match outcome.hit_class:
        case HitClass.EXACT | HitClass.PIXEL | HitClass.NEAR:
            made[f"hit/{outcome.hit_class}"] += 1
            _kinds(made, "", outcome, hit=True)
            made["collapsed"] += outcome.collapsed
            measure(made, "latency/collapsed" if outcome.collapsed else "latency/hit", latency_us)
            if outcome.served_age_s is not None:
                measure(made, "age", _micro(outcome.served_age_s))
            if outcome.saved is not None:
                _saved(made, "", outcome.saved)
        case HitClass.MISS:
            made[f"miss/{outcome.reason}"] += 1
            _kinds(made, "", outcome, hit=False)
            measure(made, "latency/miss", latency_us)
        case HitClass.BYPASS:
            made[f"bypass/{outcome.reason}"] += 1
            measure(made, "latency/bypass", latency_us)
        case HitClass.AFRESH:
            made["afresh"] += 1
        case HitClass.SHADOW:
            _shadow(made, outcome)
        case HitClass.UNREAD:
            pass
        case _:
            assert_never(outcome.hit_class)


def _shadow(made: Tally, outcome: Outcome) -> None:
    would, observed = outcome.shadow, outcome.observed
    assert would is not None
    made["shadow/requests"] += 1
    made[f"shadow/would/{would.kind}"] += 1
    _kinds(made, "shadow/", outcome, hit=would.kind is not Kind.MISS)
    if outcome.saved is None or observed is None or observed.agreement is None:
        return
    made["shadow/compared"] += 1
    made["shadow/agreed"] += observed.agreement.same
    made["shadow/numbers_disagreed"] += not observed.agreement.numbers_agree
    _saved(made, "shadow/", outcome.saved)


def _rules(made: Tally, outcome: Outcome) -> None:
    if outcome.edited:
        made["rules/edited"] += 1
    if outcome.left_alone:
        made[f"rules/left/{outcome.left_alone}"] += 1
    made.update(tagged(outcome.tags))


def _kinds(made: Tally, prefix: str, outcome: Outcome, hit: bool) -> None:
    for kind in outcome.kinds:
        made[f"{prefix}kind/{kind}"] += 1
        made[f"{prefix}kind_hit/{kind}"] += hit


def _saved(made: Tally, prefix: str, saved: Saved) -> None:
    counted, estimated, money = saved.counted, saved.estimated, saved.money
    made[f"{prefix}tokens_in"] += counted.tokens_in or 0
    made[f"{prefix}tokens_out"] += counted.tokens_out or 0
    made[f"{prefix}tokens_in_estimated"] += estimated.tokens_in or 0
    made[f"{prefix}tokens_out_estimated"] += estimated.tokens_out or 0
    made[f"{prefix}hits_without_tokens"] += counted.tokens_in is None and counted.tokens_out is None
    made[f"{prefix}hits_estimated"] += (estimated.tokens_in, estimated.tokens_out) != (None, None)
    made[f"{prefix}upstream_us"] += _micro(saved.upstream_s)
    made[f"{prefix}gpu_us"] += _micro(saved.gpu_s)
    if money is None:
        made[f"{prefix}hits_without_price"] += 1
    else:
        made[f"{prefix}{'money_estimated' if saved.by_estimate else 'money'}/{money.currency}"] += _nano(money.amount)


def _micro(seconds: float) -> int:
    return round(min(max(seconds, 0.0), _SECONDS_MOST) * MICRO)


def _nano(amount: float) -> int:
    return round(amount * NANO)
