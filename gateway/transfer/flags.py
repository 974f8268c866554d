"""The flags of `lookalike import` and `lookalike export`, and what is said at the end. Nothing is decided here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from gateway.config import Settings, load_settings, variable
from gateway.errors import ConfigError

DONE, SOME_LEFT, REFUSED, STOPPED = 0, 1, 2, 130


def _flag(text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, show_default=False, **more)


StoreDir = Annotated[Path | None, _flag("The directory of a store that no gateway runs on", "--store")]
AsJson = Annotated[bool, typer.Option("--json", help="Print what it came to as JSON")]
Config = Annotated[Path | None, typer.Option("--config", help="TOML file with settings", show_default=False)]


@dataclass(frozen=True, slots=True)
class Commands:
    """Both commands, speaking to these consoles."""

    out: Console
    err: Console

    def export(
        self,
        file: Annotated[Path, typer.Argument(help="The archive to write", show_default=False)],
        store: Annotated[Path, _flag("The directory of the store, which no gateway may run on", "--store")],
        as_json: AsJson = False,
    ) -> None:
        """Write a store's answers into one archive. It holds the store's secret: keep it as you keep the store. Exit
        status: 0 done, 1 damaged entries were left out, 2 refused, 130 stopped."""
        from gateway.transfer.run import run_export

        self._ends(lambda: run_export(file, store, as_json, self.out, self.err))

    def import_(
        self,
        inputs: Annotated[
            list[str],
            typer.Argument(
                metavar="INPUT...",
                help="An archive; or known answers: .csv or .jsonl with a picture, a prompt, an answer",
            ),
        ],
        store: StoreDir = None,
        gateway: Annotated[str | None, _flag("Known answers: a running gateway to import through")] = None,
        upstream: Annotated[
            str | None, _flag("Known answers with --store: the endpoint that the store's gateway stands in front of")
        ] = None,
        replace: Annotated[bool, typer.Option("--replace", help="Take the place of what is there already")] = False,
        recompute: Annotated[
            bool, typer.Option("--recompute", help="An archive: make vectors of another embedder anew")
        ] = False,
        embedder: Annotated[str | None, _flag("auto, clip or dct (default: auto)")] = None,
        key_env: Annotated[
            str | None, _flag("Known answers: the variable with the key that clients will ask with (as OPENAI_API_KEY)")
        ] = None,
        no_key: Annotated[
            bool, typer.Option("--no-key", help="Known answers: clients will ask without any key")
        ] = False,
        header: Annotated[list[str] | None, _flag('Another header that clients send, "Name: value"')] = None,
        model: Annotated[str | None, _flag("Known answers: the model of every row that names none")] = None,
        prompt: Annotated[str | None, _flag("Known answers: the question of every row that has none")] = None,
        template: Annotated[Path | None, _flag('A request body (JSON) with "{picture}" and "{prompt}" in it')] = None,
        form: Annotated[str | None, _flag("What a file's lines are: csv, rows or log")] = None,
        concurrency: Annotated[int, typer.Option(min=1, max=100, help="Answers on their way at once")] = 4,
        skip_bad: Annotated[
            bool, typer.Option("--skip-bad", help="Go on without the lines that cannot be used")
        ] = False,
        token: Annotated[
            str | None, typer.Option(envvar="LOOKALIKE_ADMIN_TOKEN", help="The gateway's admin token, if it has one")
        ] = None,
        as_json: AsJson = False,
        config: Config = None,
    ) -> None:
        """Take an archive, or answers that are known, into a store; no model is asked. Exit status: 0 done, 1 some were
        left out, 2 refused, 130 stopped."""
        from gateway.transfer.run import run_answers, run_archive

        given = dict(locals())
        if len(inputs) == 1 and _is_archive(Path(inputs[0])):
            self._ends(lambda: run_archive(_archive(given), replace, recompute, as_json, self.out, self.err))
        self._ends(lambda: run_answers(_answers(given), as_json, self.out, self.err))

    def _ends(self, run: Any) -> None:
        from gateway.bulk.items import BadInput
        from gateway.transfer.words import Refused

        try:
            status = run()
        except (Refused, BadInput, ConfigError) as error:
            self.err.print(f"[red]{escape(str(error))}[/]", highlight=False)
            status = REFUSED
        except KeyboardInterrupt:
            self.err.print("stopped; run the same command again", highlight=False)
            status = STOPPED
        raise typer.Exit(status)


def _is_archive(file: Path) -> bool:
    from cache.archive import looks_like

    try:
        with file.open("rb") as stream:
            return looks_like(stream.read(64))
    except OSError:
        return False


def _archive(given: dict[str, Any]) -> Any:
    """Raises Refused and ConfigError in words."""
    from gateway.transfer.run import Archive
    from gateway.transfer.words import Refused

    idle = ("gateway", "upstream", "key_env", "header", "model", "prompt", "template", "form")
    if wrong := [f"--{name.replace('_', '-')}" for name in idle if given[name] is not None]:
        raise Refused(f"{', '.join(wrong)}: an archive has all of that in itself; give --store DIR alone")
    if given["store"] is None:
        raise Refused("say into which store: --store DIR")
    settings = _settings(given, upstream="http://localhost", cache_dir=given["store"])
    return Archive(Path(given["inputs"][0]), settings)


def _answers(given: dict[str, Any]) -> Any:
    from gateway.transfer.run import Answers
    from gateway.transfer.words import Refused
    from gateway.warm.compose import Shape
    from gateway.warm.flags import headers_of, one_of, template_of
    from gateway.warm.rows import Form, Rules
    from gateway.warm.sources import is_rows, open_source

    if given["form"] is None and not any(map(is_rows, given["inputs"])):
        words = "is no archive (or its beginning is damaged) and no file of rows: .csv or .jsonl, or --form says which"
        raise Refused(f"{given['inputs'][0]} {words}")
    if given["recompute"]:
        raise Refused("--recompute is for archives: known answers get the vectors of the embedder in use anyway")
    form = Form(one_of(given["form"], [Form.CSV, Form.ROWS, Form.LOG], "--form")) if given["form"] else None
    shape = Shape(given["model"], template=template_of(given["template"]) if given["template"] else None)
    rules = Rules(prompts=(given["prompt"],) if given["prompt"] else (), answers=True)
    source = open_source(tuple(given["inputs"]), form, rules, shape)
    if source.form is Form.OPENAI:
        raise Refused(
            "batch lines have no place for an answer: write rows, or request bodies with an answer beside each"
        )
    fields = headers_of(_key(given), given["header"] or [])
    return Answers(source, fields, _where(given), given)


def _where(given: dict[str, Any]) -> Settings | str:
    from gateway.transfer.words import Refused

    if given["gateway"] is not None:
        if given["upstream"] or given["store"]:
            raise Refused("give --gateway URL for one that runs, or --upstream URL --store DIR for none; not both")
        return str(given["gateway"])
    if given["store"] is None:
        raise Refused("say where to: --gateway URL for one that runs, or --upstream URL --store DIR")
    return _settings(given, upstream=given["upstream"], cache_dir=given["store"])


def _key(given: dict[str, Any]) -> str | None:
    """The key that clients will ask with: answers are kept by key, so it must be said which."""
    from gateway.transfer.words import Refused

    if given["no_key"]:
        if given["key_env"]:
            raise Refused("--no-key and --key-env: which of the two?")
        return None
    if given["key_env"] is None:
        if any(line.lower().startswith("authorization:") for line in given["header"] or []):
            return None
        raise Refused("say which key will ask: --key-env NAME (such as OPENAI_API_KEY), or --no-key")
    if not (key := variable(given["key_env"])):
        raise Refused(f"--key-env {given['key_env']}: there is no such variable in the environment")
    return key


def _settings(given: dict[str, Any], **flags: Any) -> Settings:
    return load_settings(given["config"], embedder=given["embedder"], **flags)
