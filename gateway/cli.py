"""The `lookalike` command. Reads flags, speaks to people; what it starts lives elsewhere."""

import io
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gateway import manage
from gateway.config import Settings, load_settings
from gateway.epochcli import epoch
from gateway.errors import ConfigError
from gateway.eventlist import events
from gateway.names import By, Window
from gateway.question import Mode
from gateway.transfer.flags import Commands as Transfer
from gateway.warm.flags import Commands

cli = typer.Typer(
    help="A caching gateway for vision-language models: the same picture asked the same question is answered once.",
    no_args_is_help=True,
    add_completion=False,
)
out = Console(soft_wrap=True)  # sentences are the terminal's to wrap
err = Console(stderr=True, soft_wrap=True)

Config = Annotated[Path | None, typer.Option("--config", help="TOML file with settings", show_default=False)]


def _flag(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, show_default=False)


@cli.command()
def serve(
    upstream: Annotated[str | None, _flag("Base URL of the model's endpoint, with or without /v1")] = None,
    host: Annotated[str | None, _flag("Address to listen on (default: 127.0.0.1)")] = None,
    port: Annotated[int | None, _flag("Port to listen on (default: 8080)")] = None,
    cache_dir: Annotated[Path | None, _flag("Directory of the store (default: .lookalike)")] = None,
    store: Annotated[str | None, _flag("embedded, or memory (forgets on exit) (default: embedded)")] = None,
    embedder: Annotated[str | None, _flag("auto, clip or dct (default: auto)")] = None,
    clip_model: Annotated[str | None, _flag("open_clip model (default: ViT-B-32)")] = None,
    clip_pretrained: Annotated[str | None, _flag("open_clip tag, or path of a checkpoint")] = None,
    clip_device: Annotated[str | None, _flag("auto, cpu or cuda (default: auto)")] = None,
    mode: Annotated[Mode | None, _flag("Highest rung that may answer, or shadow (default: near)")] = None,
    threshold: Annotated[float | None, _flag("Cosine that nominates (default: the embedder's, clip 0.95)")] = None,
    privacy: Annotated[str | None, _flag("standard, or strict: no picture on disk (default: standard)")] = None,
    ttl_s: Annotated[float | None, _flag("Seconds that an answer is served (default: 30 days)")] = None,
    log_format: Annotated[str | None, _flag("text or json (default: text)")] = None,
    log_level: Annotated[str | None, _flag("debug, info, warning or error (default: info)")] = None,
    config: Config = None,
) -> None:
    """Start the gateway in front of an upstream."""
    from gateway.server import run

    flags = {name: value for name, value in locals().items() if name in Settings.model_fields}
    run(_settings(config, **flags), err, lambda: load_settings(config, **flags))


@cli.command()
def demo(
    embedder: Annotated[str, _flag("dct needs no download; clip or auto use CLIP (default: dct)")] = "dct",
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="Keep serving after the story, until Ctrl-C")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcomes as JSON")] = False,
) -> None:
    """See it work, with no upstream at hand: a labelled stand-in, a gateway, and a story of pictures."""
    from gateway.demo.story import tell

    raise typer.Exit(tell(embedder, keep, as_json, out, err))


@cli.command()
def check(
    upstream: Annotated[str | None, _flag("Base URL of the upstream")] = None,
    cache_dir: Annotated[Path | None, _flag("Directory of the store")] = None,
    config: Config = None,
) -> None:
    """Validate a configuration and a store, and say in words what is wrong."""
    from gateway.checkup import examine

    settings = _settings(config, upstream=upstream, cache_dir=cache_dir)
    raise typer.Exit(examine(settings, out))


@cli.command()
def stats(
    url: Annotated[str, typer.Option(help="Where the gateway listens")] = "http://127.0.0.1:8080",
    token: manage.Token = None,
    window: Annotated[Window, typer.Option(help="How far back")] = Window.ALL,
    by: Annotated[By | None, _flag("Divide the figures by this")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON of /cache/stats")] = False,
) -> None:
    """Show what a running gateway answered, and what that saved."""
    from gateway.report import fetch, show

    report = fetch(url, token, window, by)
    if isinstance(report, str):
        err.print(f"[red]{report}[/]")
        raise typer.Exit(1)
    if as_json:
        out.print_json(json.dumps(report))
    else:
        show(report, out)


@cli.command()
def tenant(
    header: Annotated[str, typer.Option(help="The header that carries it")] = "Authorization",
    query: Annotated[str | None, _flag("The parameter of the query that carries it, in place of a header")] = None,
    group: Annotated[str | None, _flag("Of a group that shares its answers, by name: no key is read")] = None,
    cache_dir: Annotated[Path | None, _flag("The gateway's directory of the store")] = None,
    config: Config = None,
) -> None:
    """Print the digest of a key's tenant, for `shared` in the settings and for entries and purge. The key is asked for,
    or read from standard input: it is no argument, which others could see."""
    from gateway.naming import Unnamed, digest, group_digest, read_key, sent

    settings = _offline(config, cache_dir=cache_dir)
    where = settings.cache_dir
    try:
        if group is not None:
            found = group_digest(where, group, settings.shared)
        else:
            found = digest(where, sent(read_key(), header, query))
    except Unnamed as why:
        err.print(str(why), style="red", markup=False, highlight=False)
        raise typer.Exit(1) from why
    out.print(found, highlight=False)


@cli.command()
def calibrate(
    cache_dir: Annotated[
        Path, typer.Option(envvar="LOOKALIKE_CACHE_DIR", help="The gateway's cache_dir, where its shadow log is")
    ] = Path(".lookalike"),
    log: Annotated[Path | None, _flag("A shadow log elsewhere")] = None,
    disagreement_max: Annotated[
        float,
        typer.Option(min=0.0001, max=0.5, help="Share of near hits that may disagree with the model's own answer"),
    ] = 0.01,
    similar_enough: Annotated[
        float,
        typer.Option(min=0, max=1, help="Answers with the same numbers agree from this similarity of their texts"),
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON")] = False,
) -> None:
    """Read what shadow mode noted: savings against disagreement by threshold, and the settings to choose. Exit status:
    0 done, 1 nothing was noted yet, 2 --log is no shadow log."""
    from gateway.calibrate.curve import Judge
    from gateway.calibrate.report import NoLog, examine, load, show
    from gateway.calibrate.report import as_json as in_json
    from gateway.shadowlog import SHADOW_FILE

    with err.status("Reading the shadow log"):
        loaded = load(log or cache_dir / SHADOW_FILE)
        if not isinstance(loaded, NoLog):
            report = examine(*loaded, Judge(similar_enough), disagreement_max)
    if isinstance(loaded, NoLog):
        err.print(loaded.words, style="red", markup=False, highlight=False)
        raise typer.Exit(2 if log and loaded.is_none else 1)
    if as_json:
        out.print_json(json.dumps(in_json(report)))
    else:
        show(report, out)


@cli.command()
def compare(
    stored: Annotated[Path, typer.Argument(metavar="A", help="The picture that is stored", show_default=False)],
    asked: Annotated[Path, typer.Argument(metavar="B", help="The picture that is asked about", show_default=False)],
    embedder: Annotated[str | None, _flag("auto, clip or dct (default: auto)")] = None,
    threshold: Annotated[float | None, _flag("Cosine that nominates (default: the embedder's, clip 0.95)")] = None,
    heat: Annotated[Path | None, _flag("Write the difference as a picture (.png) or a page (.html)")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON")] = False,
    config: Config = None,
) -> None:
    """If A is stored, is B answered from the cache? Exit status: 0 hit, 1 miss, 2 error."""
    from gateway.evaluate.commands import run_compare

    settings = _offline(config, embedder=embedder, threshold=threshold)
    raise typer.Exit(run_compare(settings, stored, asked, heat, as_json, out, err))


@cli.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(help="Pictures of your own; folders below are searched too")],
    pairs: Annotated[Path | None, _flag("CSV of judged pairs: file_a, file_b, same (yes or no)")] = None,
    embedder: Annotated[str | None, _flag("auto, clip or dct (default: auto)")] = None,
    threshold: Annotated[float | None, _flag("Cosine that nominates (default: the embedder's, clip 0.95)")] = None,
    edits: Annotated[int, typer.Option(min=0, max=100, help="Small edits made of each picture")] = 3,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Pictures to take, drawn at random", show_default=False)
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes (default: one per core; one with clip)", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same edits")] = 1,
    report: Annotated[Path | None, _flag("Write everything, with pictures, as one HTML file")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON")] = False,
    config: Config = None,
) -> None:
    """Measure the cache on your own pictures: what it recognises, and whether it is ever wrong. No model is asked.
    Exit status: 0 no wrong hit, 1 wrong hits, 2 bad input."""
    from gateway.evaluate.commands import Wanted, run_evaluate

    settings = _offline(config, embedder=embedder, threshold=threshold)
    wanted = Wanted(folder, pairs, edits, limit, jobs, seed, report, as_json)
    raise typer.Exit(run_evaluate(settings, wanted, out, err))


cli.add_typer(manage.entries, name="entries")
cli.add_typer(events, name="events")
cli.add_typer(epoch, name="epoch")
for command in (manage.purge, manage.forget, manage.feedback):
    cli.command()(command)
_many = Commands(out, err)
cli.command()(_many.warm)
cli.command()(_many.batch)
_transfer = Transfer(out, err)
cli.command()(_transfer.export)
cli.command("import")(_transfer.import_)


def _offline(config: Path | None, **flags: Any) -> Settings:
    """The settings in force, for what asks no upstream."""
    return _settings(config, upstream="http://localhost", **flags)


def _settings(config: Path | None, **flags: Any) -> Settings:
    try:
        return load_settings(config, **flags)
    except ConfigError as error:
        err.print(f"[red]The settings do not work:[/]\n{error}", highlight=False)
        raise typer.Exit(2) from error


def main() -> None:
    for stream in (sys.stdout, sys.stderr):  # a file may be called what no encoding can say
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli()
