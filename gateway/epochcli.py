"""`lookalike epoch`: models whose weights were changed under one name, from a terminal."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from gateway.manage import HERE, AsJson, Token, Url, Yes, agree, err, gateway_at, misused, out, tried

epoch = typer.Typer(no_args_is_help=True, help="Retire the stored answers of a model that was changed.")


@epoch.command("bump")
def bump(
    model: Annotated[str | None, typer.Argument(help="The model's name, as clients ask for it")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every model")] = False,
    yes: Yes = False,
    url: Url = HERE,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Say that a model was changed: no stored answer of it is served again, nor one that is on its way. Counts first,
    then asks. Exit status: 0 done, 1 the gateway refused or nothing is stored of this model, 2 bad command line, 3 you
    said no."""
    if (model is None) != every:
        misused("Say which model was changed, or --all")
    wanted = {"all": True} if every else {"model": model}
    remote = gateway_at(url, token)
    counted = tried(lambda: remote.post("/epochs", wanted | {"dry_run": True}))
    known = every or counted["named"] > 0
    if not (known or yes):
        _unknown(counted, "Nothing was done.")
    of = "" if every else f" of {counted['model']}"
    agree(yes, f"Retire every stored answer{of} ({counted['retired']})?")
    told = tried(lambda: remote.post("/epochs", wanted))
    if as_json:
        out.print_json(json.dumps(told))
    else:
        out.print(f"{told['model']}: {told['retired']} stored answers retired", highlight=False, markup=False)
    if not known:
        _unknown(counted, "It counts as changed all the same: an answer that is on its way will not be kept.")


def _unknown(counted: dict[str, Any], outcome: str) -> NoReturn:
    """Nothing is stored of that name: likely a slip, in a script as well, and the answers meant would be served on."""
    models = ", ".join(counted["models"])
    stored = f"There are answers of: {models}." if models else "No answer of any model is stored."
    err.print(
        f"Nothing is stored of the model {counted['model']}. {stored} {outcome}",
        style="red",
        markup=False,
        highlight=False,
    )
    raise typer.Exit(1)


@epoch.command("list")
def list_epochs(url: Url = HERE, token: Token = None, as_json: AsJson = False) -> None:
    """Which models were changed, when last, and how that was seen."""
    told = tried(lambda: gateway_at(url, token).get("/epochs"))
    if as_json:
        out.print_json(json.dumps(told))
        return
    table = Table(Column("model", overflow="fold"), "changed", "times", "seen by", "retired")
    for each in told["models"]:
        when = f"{datetime.fromtimestamp(each['changed_s'], UTC):%Y-%m-%d %H:%M:%S} UTC"
        table.add_row(escape(each["model"]), when, str(each["number"]), each["why"], str(each["retired"]))
    Console().print(table)
    for name in told["changing"]:
        out.print(f"being changed, so its questions only pass: {name}", highlight=False, markup=False)
