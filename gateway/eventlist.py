"""`lookalike events`: what waits for the webhooks of a running gateway, and another try for what nobody took."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from gateway import manage

events = typer.Typer(no_args_is_help=True, help="Show events for webhooks, and send again those that nobody took.")
out = Console(soft_wrap=True)

Webhook = Annotated[str, typer.Argument(help="As the settings name it", show_default=False)]
Id = Annotated[str | None, typer.Option("--id", help="Only this event", show_default=False)]


@events.command("list")
def list_events(url: manage.Url = manage.HERE, token: manage.Token = None, as_json: manage.AsJson = False) -> None:
    """What waits by webhook, and the last events that were set aside."""
    found = manage.tried(lambda: manage.gateway_at(url, token).get("/events"))
    if as_json:
        out.print_json(json.dumps(found))
        return
    queues = Table("webhook", "queued", "delivered", "failed", "dropped", "set aside", "trouble")
    for name, counts in found["webhooks"].items():
        shown = (counts[key] for key in ("queued", "delivered", "failed", "dropped", "set_aside"))
        queues.add_row(name, *map(str, shown), counts["trouble"] or "")
    Console().print(queues)
    if not found["set_aside"]:
        return
    aside = Table(Column("set aside", no_wrap=True, min_width=28), "webhook", "when", "attempts", "why", "entry")
    for event in found["set_aside"]:
        when = f"{datetime.fromtimestamp(event['set_aside_s'], UTC):%Y-%m-%d %H:%M:%S} UTC"
        facts = (str(event["attempts"]), event["why"], (event["entry"] or "")[:8])
        aside.add_row(event["id"], event["webhook"], when, *facts)
    Console().print(aside)
    out.print("send them again with: lookalike events retry WEBHOOK", highlight=False)


@events.command("retry")
def retry_events(
    webhook: Webhook,
    event_id: Id = None,
    url: manage.Url = manage.HERE,
    token: manage.Token = None,
    as_json: manage.AsJson = False,
) -> None:
    """Send again what was set aside for a webhook. Exit status: 0 done, 1 the gateway refused, or there is no such
    webhook or event."""
    wanted = {"webhook": webhook} | ({"id": event_id} if event_id else {})
    told = manage.tried(lambda: manage.gateway_at(url, token).post("/events/retry", wanted))
    if as_json:
        out.print_json(json.dumps(told))
    else:
        out.print(f"{told['retried']} events are sent again")
