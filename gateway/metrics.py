"""Every outcome as Prometheus metrics, in a registry of their own. docs/metrics.md lists them; a test compares.

Labels are bounded: this version's words, the operator's, and at most MODELS_MOST models that the upstream answered
for. Tenants are in the ledger only: there may be as many as there are keys.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cache.stores.base import Size
from cache.verdict import Doubt
from gateway.names import NONE, Names
from gateway.outcome import HitClass, Outcome, Saved
from gateway.question import Alone, Bypass, Unstored
from gateway.rules.book import LeftAlone

MODELS_MOST: Final = 50
COLLAPSED: Final = "collapsed"  # hits whose time was that of another request
# Seconds: a hit takes milliseconds, a long answer minutes.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_AGES_S = (60, 600, 3600, 6 * 3600, 86_400, 7 * 86_400, 30 * 86_400)


class Metrics:
    """Counts since the process started, as Prometheus expects it."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"lookalike_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...] = _SECONDS) -> Histogram:
            return Histogram(f"lookalike_{name}", text, labels, registry=registry, buckets=buckets)

        self._requests = counter("requests", "Requests by what became of them", "hit_class", "dialect", "model")
        self._misses = counter("misses", "Requests that the cache had no answer for", "reason")
        self._bypasses = counter("bypasses", "Requests that the cache was not asked for", "reason")
        self._kinds = counter("question_kinds", "Requests that the cache was asked for", "kind", "hit")
        self._stale = counter("stale_hits", "Answers past their time in the place of an upstream that failed")
        self._fallback = counter("fallback", "Requests that the second upstream answered")
        self._errors = counter("errors", "Requests that ended with an error of the gateway or without an end", "code")
        self._stored = counter("stored", "Answers stored")
        self._unstored = counter("unstored", "Answers not stored", "reason")
        self._edited = counter("edited", "Answers that rules changed")
        self._tags = counter("tags", "Tags that rules gave answers", "tag")
        self._left_alone = counter("rules_left_alone", "Answers that rules left alone, and why", "reason")
        self._collapsed = counter("collapsed", "Hits in what was in flight: answers to other requests")
        self._alone = counter("not_collapsed", "Requests that waited for the answer to another in vain", "reason")
        self._tokens = counter("saved_tokens", "Tokens of answers from the cache", "direction", "basis")
        self._money = counter("saved_money", "What answers from the cache would have cost", "currency", "basis")
        self._unpriced = counter("saved_without_price", "Answers from the cache without a known price")
        self._upstream_s = counter("saved_upstream_seconds", "What answers from the cache would have taken")
        self._gpu_s = counter("saved_gpu_seconds", "The same, of machines of one's own")
        self._embedding_s = counter("embedding_seconds", "Work of the embedder")
        self._spent = counter("spent_money", "What the embedder's work cost", "currency")
        self._latency = histogram("request_seconds", "From a request until the client had its reply", "hit_class")
        self._stages = histogram("stage_seconds", "Each stage of a request", "stage")
        self._ages = histogram("served_age_seconds", "Age of answers from the cache", buckets=_AGES_S)
        self._shadow = counter("shadow_requests", "Requests of shadow mode by what they would have been", "would_be")
        self._compared = counter("shadow_compared", "Would-be hits beside the model's own answer", "agreed")
        self._models = Names(MODELS_MOST)
        # So that what has not happened yet is 0 and not missing, and the first time it happens is an increase.
        reasons = (self._misses, Doubt), (self._bypasses, Bypass), (self._unstored, Unstored), (self._alone, Alone)
        for metric, words in (*reasons, (self._left_alone, LeftAlone), (self._latency, (*HitClass, COLLAPSED))):
            for word in words:
                metric.labels(word)

    def count(self, outcome: Outcome) -> None:
        """Called from one thread, the event loop's."""
        hit_class = outcome.hit_class
        self._requests.labels(
            hit_class, outcome.dialect or NONE, self._models.of(outcome.model, outcome.answered)
        ).inc()
        self._latency.labels(COLLAPSED if outcome.collapsed else hit_class).observe(outcome.seconds)
        for stage, seconds in outcome.stages_s.items():
            self._stages.labels(stage).observe(seconds)
        if hit_class is HitClass.MISS:
            self._misses.labels(outcome.reason).inc()
        elif hit_class is HitClass.BYPASS:
            self._bypasses.labels(outcome.reason).inc()
        if hit_class.is_hit or hit_class is HitClass.MISS:
            for kind in outcome.kinds:
                self._kinds.labels(kind, _word(hit_class.is_hit)).inc()
        self._stale.inc(outcome.stale)
        self._fallback.inc(outcome.fallback)
        if outcome.error:
            self._errors.labels(outcome.error).inc()
        self._collapsed.inc(outcome.collapsed)
        if outcome.alone:
            self._alone.labels(outcome.alone).inc()
        if outcome.stored:
            self._stored.inc()
        if outcome.unstored:
            self._unstored.labels(outcome.unstored).inc()
        if outcome.edited:
            self._edited.inc()
        self.tagged(outcome.tags)
        if outcome.left_alone:
            self._left_alone.labels(outcome.left_alone).inc()
        if hit_class.is_hit and outcome.saved:
            self._save(outcome.saved)
        if outcome.served_age_s is not None:
            self._ages.observe(outcome.served_age_s)
        self._spend(outcome)
        self._observe_shadow(outcome)

    def tagged(self, tags: tuple[str, ...]) -> None:
        """Tags are the operator's words: there are only so many."""
        for tag in tags:
            self._tags.labels(tag).inc()

    def watch(self, what: "Collector") -> None:
        """Ask this, too, at each scrape."""
        self.registry.register(what)

    def _save(self, saved: Saved) -> None:
        for basis, usage in (("counted", saved.counted), ("estimated", saved.estimated)):
            self._tokens.labels("in", basis).inc(usage.tokens_in or 0)
            self._tokens.labels("out", basis).inc(usage.tokens_out or 0)
        if saved.money is None:
            self._unpriced.inc()
        else:
            basis = "estimated" if saved.by_estimate else "counted"
            self._money.labels(saved.money.currency, basis).inc(saved.money.amount)
        self._upstream_s.inc(saved.upstream_s)
        self._gpu_s.inc(saved.gpu_s)

    def _spend(self, outcome: Outcome) -> None:
        self._embedding_s.inc(outcome.spent.embedding_s)
        if (money := outcome.spent.money) is not None:
            self._spent.labels(money.currency).inc(money.amount)

    def _observe_shadow(self, outcome: Outcome) -> None:
        if outcome.shadow is None:
            return
        self._shadow.labels(outcome.shadow.kind).inc()
        if outcome.observed and (agreement := outcome.observed.agreement):
            self._compared.labels(_word(agreement.same)).inc()


class State(Collector):
    """What the gateway is at this moment, asked at each scrape."""

    def __init__(
        self,
        version: str,
        mode: str,
        size: Callable[[], Size],
        near: Callable[[], bool],
        disk: Callable[[], int | None],
        upstreams: Callable[[], dict[str, Any]],
        load: Callable[[], dict[str, Any]],
    ) -> None:
        """`disk` gives the bytes that are free; None where there is none. `upstreams` and `load` as `/cache/health`
        reports them."""
        self._version, self._mode = version, mode
        self._size = size
        self._near = near
        self._disk = disk
        self._upstreams = upstreams
        self._load = load

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("lookalike_info", "This gateway; always 1", labels=("version", "mode"))
        info.add_metric((self._version, self._mode), 1)
        yield info
        size = self._size()
        yield GaugeMetricFamily("lookalike_embedder_ready", "Whether near hits are possible", self._near())
        yield GaugeMetricFamily("lookalike_store_entries", "Stored answers", size.entries)
        yield GaugeMetricFamily("lookalike_store_bytes", "Bytes of stored answers and evidence", size.bytes)
        yield GaugeMetricFamily("lookalike_store_bytes_max", "Bytes beyond which the least used go", size.bytes_max)
        if (free := self._disk()) is not None:
            yield GaugeMetricFamily("lookalike_disk_free_bytes", "Room on the store's disk", free)
        yield CounterMetricFamily("lookalike_store_evicted", "Answers that went for lack of room", size.evicted)
        yield CounterMetricFamily("lookalike_store_expired", "Answers that went for their age", size.expired)
        yield CounterMetricFamily("lookalike_store_set_aside", "Answers found damaged and set aside", size.set_aside)
        load = self._load()
        yield GaugeMetricFamily("lookalike_requests_in_flight", "Requests in flight", load["requests"])
        yield GaugeMetricFamily("lookalike_held_bytes", "Memory for bodies in flight", load["held_bytes"])
        yield GaugeMetricFamily("lookalike_held_bytes_max", "Beyond it requests are refused", load["held_bytes_max"])
        yield CounterMetricFamily("lookalike_shed", "Requests refused for lack of memory", load["shed"])
        refusing = GaugeMetricFamily("lookalike_breaker_open", "Whether an upstream is not asked", labels=("upstream",))
        opened = CounterMetricFamily("lookalike_breaker_opened", "Times that it came to that", labels=("upstream",))
        for name, report in self._upstreams().items():
            refusing.add_metric((name,), report["breaker"] in ("open", "half-open"))
            opened.add_metric((name,), report["opened"])
        yield from (refusing, opened)


def _word(truth: bool) -> str:
    return "true" if truth else "false"
