"""`lookalike entries`, `purge`, `forget` and `feedback`: what is stored in a running gateway, from a terminal."""

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Column, Table

from gateway.question import Judgement

if TYPE_CHECKING:
    from gateway.remote import Remote

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

entries = typer.Typer(no_args_is_help=True, help="List, show and delete stored answers.")

Url = Annotated[str, typer.Option(help="Where the gateway listens")]
Token = Annotated[
    str | None, typer.Option(envvar="LOOKALIKE_ADMIN_TOKEN", help="Its admin token, if it has one", show_envvar=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the gateway's JSON")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; delete")]
Model = Annotated[str | None, typer.Option(help="Of this model", show_default=False)]
Tenant = Annotated[str | None, typer.Option(help="Of this tenant: 8 or more digits of its digest", show_default=False)]
OlderThan = Annotated[str | None, typer.Option(help="Older than this: 90s, 45m, 12h, 30d", show_default=False)]
NewerThan = Annotated[str | None, typer.Option(help="Newer than this", show_default=False)]
HERE = "http://127.0.0.1:8080"

_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_FAILED, _MISUSED, _DECLINED = 1, 2, 3


@entries.command("list")
def list_entries(
    model: Model = None,
    tenant: Tenant = None,
    prompt: Annotated[
        str | None, typer.Option(help="With this prompt digest, whole: entries show has it", show_default=False)
    ] = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    after: Annotated[str | None, typer.Option(help="From where the page before ended", show_default=False)] = None,
    url: Url = HERE,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """The newest first."""
    query = {"model": model, "tenant": tenant, "prompt": prompt, "limit": limit, "after": after}
    query |= _ages(older_than, newer_than)
    found = tried(lambda: gateway_at(url, token).get("/entries", query))
    if as_json:
        out.print_json(json.dumps(found))
        return
    whole = Column("id", no_wrap=True, min_width=32)  # it is to be copied
    table = Table(whole, "age", "model", "tenant", "prompt", "pictures", "tokens out")
    for entry in found["entries"]:
        sizes = " ".join(f"{width}×{height}" for width, height in entry["pictures"])
        known = (entry["tenant"][:8], (entry["prompt"] or "")[:8], sizes, str(entry["tokens_out"] or ""))
        table.add_row(entry["id"], _age(entry["age_s"]), entry["model"], *known)
    Console().print(table)
    out.print(f"{len(found['entries'])} of {found['matched']} entries")
    if found["next"]:
        out.print(f"more with --after {found['next']}", highlight=False)


@entries.command("show")
def show_entry(entry_id: str, url: Url = HERE, token: Token = None, as_json: AsJson = False) -> None:
    """One stored answer, and what is known of it."""
    entry = tried(lambda: gateway_at(url, token).get(f"/entries/{_id(entry_id)}"))
    if as_json:
        out.print_json(json.dumps(entry))
        return
    table = Table("", "", show_header=False)
    for name, value in entry.items():
        when = name in ("created_s", "expires_s")
        shown = f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC" if when else str(value)
        table.add_row(name.removesuffix("_s") if when else name, shown)
    Console().print(table)


@entries.command("delete")
def delete_entry(
    entry_id: str, yes: Yes = False, url: Url = HERE, token: Token = None, as_json: AsJson = False
) -> None:
    """Delete one, from the files as well."""
    remote = gateway_at(url, token)
    tried(lambda: remote.get(f"/entries/{_id(entry_id)}"))
    agree(yes, f"Delete the entry {entry_id}?")
    _tell(tried(lambda: remote.delete(f"/entries/{_id(entry_id)}")), as_json)


def purge(
    model: Model = None,
    tenant: Tenant = None,
    prompt_file: Annotated[
        Path | None, typer.Option(help="A file with the prompt's text; - reads it from the input", show_default=False)
    ] = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    everything: Annotated[bool, typer.Option("--all", help="Every entry")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count")] = False,
    yes: Yes = False,
    url: Url = HERE,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Delete stored answers by model, tenant, prompt or age; what is given must all hold. Counts first, then asks.
    Exit status: 0 done, 1 the gateway refused, 2 bad command line, 3 you said no."""
    wanted: dict[str, Any] = {"model": model, "tenant": tenant} | _ages(older_than, newer_than)
    wanted["prompt"] = None if prompt_file is None else _text(prompt_file)
    wanted = {name: value for name, value in wanted.items() if value is not None} | (
        {"all": True} if everything else {}
    )
    if everything and len(wanted) > 1:
        misused("--all is every entry: give it alone, or leave it out and say which")
    if not wanted:
        misused("Say what to delete: --model, --tenant, --prompt-file, --older-than, --newer-than, or --all")
    remote = gateway_at(url, token)
    _in_two_steps(
        lambda confirm: remote.post("/purge", wanted | {"confirm": confirm}), dry_run, yes, as_json, "these answers"
    )


def forget(
    picture: Annotated[Path, typer.Argument(help="The picture's file", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count")] = False,
    yes: Yes = False,
    url: Url = HERE,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Delete everything that is stored about a picture or a copy of it, for whomever. Counts first, then asks.
    Exit status: as for purge."""
    remote, data = gateway_at(url, token), _bytes(picture)
    _in_two_steps(
        lambda confirm: remote.send("/forget", data, {"confirm": "true" if confirm else "false"}),
        dry_run,
        yes,
        as_json,
        "what is stored about this picture",
    )


def feedback(
    entry_id: Annotated[str, typer.Argument(help="X-Lookalike-Entry of the hit", show_default=False)],
    verdict: Annotated[Judgement, typer.Argument(help="right or wrong", show_default=False)],
    request: Annotated[str, typer.Option(help="X-Lookalike-Request of the hit", show_default=False)],
    url: Url = HERE,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a hit was right. After "wrong", these two pictures never answer each other again."""
    said = {"verdict": verdict.value, "request": request}
    told = tried(lambda: gateway_at(url, token).post(f"/entries/{_id(entry_id)}/feedback", said))
    if as_json:
        out.print_json(json.dumps(told))
        return
    did = [words for name, words in _DONE if told[name]]
    out.print(f"{verdict.value}: {', '.join(did) or 'known already'}")


_DONE = (("removed", "the answer is removed"), ("remembered", "the pair is remembered"), ("counted", "counted"))


def _in_two_steps(ask: Callable[[bool], dict[str, Any]], dry_run: bool, yes: bool, as_json: bool, what: str) -> None:
    """Count, show, ask, delete. With `as_json` only the last reply is printed, so that it can be parsed. With `yes` it
    acts also where nothing was found: the files may still hold what left before."""
    counted = tried(lambda: ask(False))
    if dry_run or not (counted["entries"] or yes):
        _tell(counted, as_json)
        return
    if not yes and not as_json:
        _tell(counted, as_json)
    agree(yes, f"Delete {what} ({counted['entries']} entries)?")
    _tell(tried(lambda: ask(True)), as_json)


def _tell(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps(told))
        return
    verb = "would be deleted" if told.get("dry_run") else "deleted"
    how = told.get("found")
    by = f" (by bytes {how['bytes']}, by pixels {how['pixels']}, copies {how['near']})" if how else ""
    out.print(f"{told['entries']} entries, {told['bytes']:,} bytes {verb}{by}")
    for note in told.get("notes", ()):
        out.print(f"[yellow]note[/]  {note}", highlight=False)


def gateway_at(url: str, token: str | None) -> "Remote":
    from gateway.remote import Remote

    return Remote(url, token)


def tried(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    from gateway.remote import Refused

    try:
        return ask()
    except Refused as refusal:
        err.print(str(refusal), style="red", markup=False, highlight=False)
        raise typer.Exit(_MISUSED if refusal.misused else _FAILED) from refusal


def agree(yes: bool, question: str) -> None:
    """Ask, unless `yes`. An answer may be piped in; where there is neither that nor a terminal, say what to do."""
    try:
        if yes or typer.confirm(question, err=True):
            return
    except typer.Abort:
        if sys.stdin.isatty():  # Ctrl-C, or the end of input typed
            raise
        err.print()
        misused("Nothing was done: there is no terminal to ask at. Give --yes to go on without being asked.")
    raise typer.Exit(_DECLINED)


def _ages(older_than: str | None, newer_than: str | None) -> dict[str, Any]:
    return {"older_than_s": _seconds(older_than), "newer_than_s": _seconds(newer_than)}


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        misused(f"{text!r} is no age such as 90s, 45m, 12h or 30d")
    return float(found[1]) * _UNIT_S[found[2]]


def _age(seconds: float) -> str:
    unit = next(unit for unit in "dhms" if seconds >= _UNIT_S[unit] or unit == "s")
    return f"{seconds / _UNIT_S[unit]:.0f} {unit}"


def _id(entry_id: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{32}", entry_id):
        misused(f"{entry_id!r} is no id: X-Lookalike-Entry of a hit says it, and `lookalike entries list`")
    return entry_id


def _text(file: Path) -> str:
    if str(file) == "-":
        return typer.get_text_stream("stdin").read()
    try:
        return _bytes(file).decode()
    except UnicodeDecodeError:
        misused(f"{file} is no text in UTF-8")


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        misused(f"{file} cannot be read: {error.strerror}")


def misused(words: str) -> NoReturn:
    err.print(words, style="red", markup=False, highlight=False)
    raise typer.Exit(_MISUSED)
