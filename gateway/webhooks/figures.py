"""What the webhooks' queues hold, and what became of the rest, as Prometheus metrics. docs/metrics.md lists them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_COUNTERS = {
    "delivered": "Events that their receivers took",
    "failed": "Events that were set aside",
    "dropped": "Events that found no room in the queue",
    "attempts_failed": "Attempts to deliver that failed",
}
_GAUGES = {"queued": "Events that wait for their receiver", "set_aside": "Events that nobody took and that are kept"}


class Waiting(Collector):
    """Asked at each scrape. The label is a name of the settings."""

    def __init__(self, report: Callable[[], Mapping[str, Mapping[str, Any]]]) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        report = self._report()
        for kind, names in ((CounterMetricFamily, _COUNTERS), (GaugeMetricFamily, _GAUGES)):
            for name, text in names.items():
                metric = kind(f"lookalike_webhook_{name}", text, labels=("webhook",))
                for webhook, counts in report.items():
                    metric.add_metric((webhook,), counts[name])
                yield metric
