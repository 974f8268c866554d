"""`lookalike stats`: /cache/stats of a running gateway as tables for a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from gateway.remote import Refused, Remote


def fetch(url: str, token: str | None = None, window: str = "all", by: str | None = None) -> dict[str, Any] | str:
    """The statistics, or a sentence that says why there are none."""
    try:
        report = Remote(url, token).get("/stats", {"window": window, "by": by})
    except Refused as refusal:
        return str(refusal)
    return report if "hit_rate" in report else f"{url} answered, but not as a lookalike gateway does."


def show(report: dict[str, Any], out: Console) -> None:
    hits, saved, rate = report["hits"], report["saved"], report["hit_rate"]
    window = report["window"]["name"]
    summary = Table("", "", show_header=False, title="lookalike" + ("" if window == "all" else f", last {window}"))
    summary.add_row("requests", str(report["requests"]))
    summary.add_row("asked of the cache", str(report["asked_of_cache"]))
    if report["asked_afresh"]:
        summary.add_row("asked afresh (no-cache)", str(report["asked_afresh"]))
    summary.add_row("hits", f"{hits['total']}  (exact {hits['exact']}, pixel {hits['pixel']}, near {hits['near']})")
    summary.add_row("hit rate", "no request was asked of the cache yet" if rate is None else f"{rate:.1%}")
    summary.add_row("upstream time saved", f"{saved['upstream_seconds']:,.1f} s")
    summary.add_row("tokens saved", f"{saved['tokens_in']:,} in, {saved['tokens_out']:,} out{_unknown(saved)}")
    summary.add_row("money saved", _money(saved))
    if report["net"]:
        summary.add_row("less what embedding cost", _net(report["net"]))
    summary.add_row("time of a hit, of a miss", _times(report["latency"]))
    summary.add_row("stored", f"{report['store']['entries']:,} entries, {report['store']['bytes'] / 2**20:,.1f} MiB")
    summary.add_row("kept of a picture", _evidence(report["evidence"]))
    if report["feedback"]["judged_near"]:
        summary.add_row("near hits judged", _judged(report["feedback"]))
    summary.add_row("embedder", _embedder(report["embedder"]))
    out.print(summary)
    if "groups" in report:
        out.print(_groups(report["groups"]))
    if report["shadow"]["requests"]:
        out.print(_shadow(report["shadow"]))
    for title, counts in (
        ("why the cache had no answer", report["misses"]["by_reason"]),
        ("why the cache was not asked", report["bypasses"]["by_reason"]),
        ("why an answer was not stored", report["not_stored"]),
        ("errors", report["errors"]),
    ):
        if counts:
            table = Table("reason", "requests", title=title)
            for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
                table.add_row(reason, str(count))
            out.print(table)
    if report["kinds"]:
        table = Table("kind of question", "requests", "hits")
        for kind, counted in report["kinds"].items():
            table.add_row(kind, str(counted["requests"]), str(counted["hits"]))
        out.print(table)


def _shadow(shadow: dict[str, Any]) -> Table:
    hits, saved, log = shadow["would_be_hits"], shadow["would_have_saved"], shadow["log"]
    table = Table("", "", show_header=False, title="shadow mode: forwarded, and what would have been served")
    table.add_row("requests", str(shadow["requests"]))
    table.add_row(
        "would-be hits", f"{hits['total']}  (exact {hits['exact']}, pixel {hits['pixel']}, near {hits['near']})"
    )
    table.add_row("would-be hit rate", f"{shadow['would_be_hit_rate']:.1%}")
    table.add_row(
        "answers compared",
        f"{shadow['compared']}: {shadow['agreed']} the same, {shadow['disagreed']} others "
        f"({shadow['numbers_disagreed']} in a number)",
    )
    table.add_row("upstream time to save", f"{saved['upstream_seconds']:,.1f} s")
    table.add_row("tokens to save", f"{saved['tokens_in']:,} in, {saved['tokens_out']:,} out{_unknown(saved)}")
    table.add_row("money to save", _money(saved))
    table.add_row("log", f"{log['file'] or 'none: the store is in memory'}")
    if log["lost"]:
        table.add_row("lines lost", f"{log['lost']}: see the gateway's log")
    return table


def _groups(groups: dict[str, Any]) -> Table:
    table = Table(groups["by"], "requests", "asked", "hits", "hit rate", "upstream time saved", "money saved")
    for group in groups["values"]:
        hits, rate, saved = group["hits"]["total"], group["hit_rate"], group["saved"]
        facts = group["requests"], group["asked_of_cache"], hits, "" if rate is None else f"{rate:.1%}"
        money = "" if not hits else "unknown" if saved["money"] == "unknown" else _money(saved)
        table.add_row(group["name"], *map(str, facts), f"{saved['upstream_seconds']:,.1f} s", money)
    return table


def _net(net: dict[str, Any]) -> str:
    if any(amount["counted"] is None for amount in net.values()):
        return "unknown: set embedding_price"
    return ", ".join(f"{amount['with_estimates']:,.4f} {currency}" for currency, amount in net.items())


def _times(latency: dict[str, Any]) -> str:
    def median(times: dict[str, Any]) -> str:
        return "none yet" if times["p50_ms"] is None else f"{times['p50_ms']:,.1f} ms"

    return f"{median(latency['hit'])}, {median(latency['miss'])} (medians)"


def _unknown(saved: dict[str, Any]) -> str:
    count, estimated = saved["hits_with_unknown_tokens"], saved["hits_with_estimated_tokens"]
    if not count:
        return ""
    tokens = f"{saved['tokens_in_estimated']:,} in, {saved['tokens_out_estimated']:,} out"
    return f"; {count} hits without a count" + (f" (estimated: {tokens})" if estimated else "")


def _money(saved: dict[str, Any]) -> str:
    if saved["money"] == "unknown":
        return r"unknown: set \[prices] for the models you use"
    sums = [f"{value:,.4f} {currency}" for currency, value in saved["money"].items()]
    sums += [f"{value:,.4f} {currency} (estimated)" for currency, value in saved["money_estimated"].items()]
    known = ", ".join(sums) or "nothing yet"
    without = saved["hits_with_unknown_price"]
    return f"{known}; {without} hits without a price" if without else known


def _evidence(evidence: dict[str, Any]) -> str:
    if not evidence["pictures"]:
        return "nothing yet"
    return f"{evidence['bytes_p50']:,} bytes at the median, {evidence['bytes_mean']:,} on average, for the guard"


def _judged(feedback: dict[str, Any]) -> str:
    low, high = feedback["wrong_hit_rate_95"]
    wrong, judged = feedback["wrong"].get("near", 0), feedback["judged_near"]
    return f"{judged}, {wrong} of them wrong: {feedback['wrong_hit_rate']:.1%} (95 %: {low:.1%} to {high:.1%})"


def _embedder(state: dict[str, Any]) -> str:
    if state["state"] != "ready":
        return f"{state['state']}: {state['why']}" if "why" in state else str(state["state"])
    return f"{state['space']}" + (f"  (fallback: {state['fallback']})" if "fallback" in state else "")
