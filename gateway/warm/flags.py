"""The flags of `lookalike warm` and `lookalike batch`. Words in, a `Wanted` out; nothing is decided here."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from gateway.config import Settings, load_settings
from gateway.errors import ConfigError


def _flag(text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, show_default=False, **more)


Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="A folder, pictures or patterns; or one file: .csv, or .jsonl in any form of docs/warm.md",
    ),
]
Form = Annotated[str | None, _flag("What a file's lines are: csv, rows, openai or log (default: by its first line)")]
Prompt = Annotated[list[str] | None, _flag("The question; may be given several times")]
Prompts = Annotated[Path | None, _flag("A file with one question on each line")]
Model = Annotated[str | None, _flag("The model of every question that names none")]
Template = Annotated[Path | None, _flag('A request body (JSON) with "{picture}" and "{prompt}" where they go')]
ToPath = Annotated[
    str, _flag("Where bodies without a path of their own are posted (default: /v1/chat/completions)", "--path")
]
Gateway = Annotated[str | None, _flag("A running gateway to ask through")]
Upstream = Annotated[
    str | None, _flag("Without a running gateway: the model's endpoint, spelt as for `lookalike serve`")
]
StoreDir = Annotated[Path | None, _flag("... and the store to fill", "--store")]
Embedder = Annotated[str | None, _flag("auto, clip or dct (default: auto)")]
Key = Annotated[
    str | None,
    _flag("The clients' key: answers are kept by key. Better given as OPENAI_API_KEY", envvar="OPENAI_API_KEY"),
]
Header = Annotated[list[str] | None, _flag('Another request header, "Name: value"; may be given several times')]
Concurrency = Annotated[int, typer.Option(min=1, max=1000, help="Questions in flight at once")]
Rate = Annotated[float | None, _flag("Questions a second at the most", min=0.001)]
Retries = Annotated[int, typer.Option(min=0, max=100, help="Further attempts of a question that failed")]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds to wait for one reply")]
JournalFile = Annotated[Path | None, _flag("What is done, for a resumption")]
Failures = Annotated[Path | None, _flag("Where failed questions are written, as an input")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Go on without the lines that cannot be used")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Count, compare and estimate; ask no model")]
Tokens = Annotated[int, typer.Option(min=0, help="Tokens of an answer, for the estimate")]
Seconds = Annotated[float, typer.Option(min=0, help="Seconds of an answer, for the estimate")]
AsJson = Annotated[bool, typer.Option("--json", help="Print what it came to as JSON")]
Config = Annotated[Path | None, typer.Option("--config", help="TOML file with settings", show_default=False)]


@dataclass(frozen=True, slots=True)
class Commands:
    """Both commands, speaking to these consoles."""

    out: Console
    err: Console

    def warm(
        self,
        inputs: Inputs,
        prompt: Prompt = None,
        prompts: Prompts = None,
        form: Form = None,
        model: Model = None,
        template: Template = None,
        path: ToPath = "/v1/chat/completions",
        gateway: Gateway = None,
        upstream: Upstream = None,
        store: StoreDir = None,
        embedder: Embedder = None,
        api_key: Key = None,
        header: Header = None,
        concurrency: Concurrency = 10,
        rate: Rate = None,
        retries: Retries = 5,
        timeout_s: Timeout = 600,
        journal: JournalFile = None,
        failures: Failures = None,
        skip_bad: SkipBad = False,
        find_alike: Annotated[bool, typer.Option(help="Compare the input's pictures first; ask once for each")] = True,
        dry_run: Dry = False,
        expect_tokens: Tokens = 150,
        expect_seconds: Seconds = 3.0,
        as_json: AsJson = False,
        config: Config = None,
    ) -> None:
        """Fill a cache before the traffic comes. Exit status: 0 done, 1 some failed, 2 bad input, 3 gave up, 130
        stopped."""
        given = dict(locals())
        journal = journal or Path("lookalike-warm.journal")
        failures = failures or Path("lookalike-warm.failures.jsonl")
        self._run(given | {"journal": journal, "failures": failures, "answers": None, "out_form": None})

    def batch(
        self,
        inputs: Inputs,
        answers: Annotated[Path, typer.Option("--out", "-o", help="Where the answers go: .jsonl or .csv")],
        out_form: Annotated[
            str | None, _flag("openai, csv or rows (default: csv for .csv; openai for OpenAI batch lines; else rows)")
        ] = None,
        prompt: Prompt = None,
        prompts: Prompts = None,
        form: Form = None,
        model: Model = None,
        template: Template = None,
        path: ToPath = "/v1/chat/completions",
        gateway: Gateway = None,
        upstream: Upstream = None,
        store: StoreDir = None,
        embedder: Embedder = None,
        api_key: Key = None,
        header: Header = None,
        concurrency: Concurrency = 10,
        rate: Rate = None,
        retries: Retries = 5,
        timeout_s: Timeout = 600,
        journal: JournalFile = None,
        failures: Failures = None,
        skip_bad: SkipBad = False,
        find_alike: Annotated[bool, typer.Option(help="Compare the input's pictures first; ask once for each")] = False,
        dry_run: Dry = False,
        expect_tokens: Tokens = 150,
        expect_seconds: Seconds = 3.0,
        as_json: AsJson = False,
        config: Config = None,
    ) -> None:
        """Answer many questions through the cache, into a file. Exit status: 0 done, 1 some failed, 2 bad input, 3
        gave up, 130 stopped."""
        given = dict(locals())
        journal = journal or answers.with_name(answers.name + ".journal")
        failures = failures or answers.with_name(answers.name + ".failures.jsonl")
        self._run(given | {"journal": journal, "failures": failures})

    def _run(self, given: dict[str, Any]) -> None:
        from gateway.bulk.items import BadInput
        from gateway.warm.estimate import Assumed
        from gateway.warm.run import How, run

        try:
            wanted = _wanted(given)
        except (BadInput, ConfigError) as error:
            self.err.print(f"[red]{escape(str(error))}[/]", highlight=False)
            raise typer.Exit(2) from error
        assumed = Assumed(given["expect_tokens"], given["expect_seconds"])
        how = How(given["dry_run"], given["find_alike"], given["as_json"], assumed)
        raise typer.Exit(run(wanted, how, self.out, self.err))


def _wanted(given: dict[str, Any]) -> Any:
    """Raises BadInput and ConfigError in words."""
    from gateway.warm.compose import Shape
    from gateway.warm.job import Wanted
    from gateway.warm.places import check_places
    from gateway.warm.rows import Form, Rules
    from gateway.warm.sources import open_source

    template = template_of(given["template"]) if given["template"] else None
    shape = Shape(given["model"], given["path"], template)
    form = Form(one_of(given["form"], list(Form), "--form")) if given["form"] else None
    rules = Rules(prompts=_prompts(given["prompt"], given["prompts"]), path=given["path"])
    headers = headers_of(given["api_key"], given["header"] or [])
    if given["answers"] is None:
        _keeps(headers)
    check_places(given["inputs"], given["answers"], given["journal"], given["failures"])
    source = open_source(tuple(given["inputs"]), form, rules, shape)
    return Wanted(
        source=source,
        settings=_settings(given),
        journal=given["journal"],
        failures=given["failures"],
        url=given["gateway"],
        out=given["answers"],
        out_form=_out_form(given["answers"], given["out_form"], source.form),
        headers=headers,
        concurrency=given["concurrency"],
        rate=given["rate"],
        retries=given["retries"],
        timeout_s=given["timeout_s"],
        skip_bad=given["skip_bad"],
    )


def _settings(given: dict[str, Any]) -> Settings:
    """Those of the store's gateway; of a running one only the prices and the embedder are used, to compare with."""
    from gateway.bulk.items import BadInput

    if given["gateway"] is not None:
        if given["upstream"] or given["store"]:
            raise BadInput("give --gateway URL for one that runs, or --upstream URL --store DIR for none; not both")
        return load_settings(given["config"], upstream="http://localhost", embedder=given["embedder"])
    if given["store"] is None:
        raise BadInput("say whom to ask: --gateway URL for one that runs, or --upstream URL --store DIR")
    flags = {"upstream": given["upstream"], "cache_dir": given["store"], "embedder": given["embedder"]}
    settings = load_settings(given["config"], **flags)
    if settings.store == "memory" and given["answers"] is None:
        raise BadInput('the settings say store = "memory", which would be gone with this command: say "embedded"')
    return settings


def _prompts(given: list[str] | None, file: Path | None) -> tuple[str, ...]:
    from gateway.bulk.items import BadInput

    lines = []
    if file is not None:
        try:
            lines = [line for line in file.read_text("utf-8-sig").split("\n") if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"--prompts {file} cannot be read: {error}") from error
        if not lines:
            raise BadInput(f"--prompts {file}: there is no prompt in it")
    prompts = (*(given or []), *(line.removesuffix("\r") for line in lines))
    if any("\udc80" <= sign <= "\udcff" for prompt in prompts for sign in prompt):
        raise BadInput("--prompt: the text is not UTF-8")  # as Python spells bytes that it could not read
    return prompts


def template_of(file: Path) -> Any:
    from gateway.bulk.items import BadInput
    from gateway.warm.compose import template_wrong

    try:
        template = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise BadInput(f"--template {file} cannot be read: {error}") from error
    if why := template_wrong(template):
        raise BadInput(f"--template {file} {why}")
    return template


def headers_of(key: str | None, given: list[str]) -> dict[str, str]:
    from gateway.bulk.items import BadInput

    key = (key or "").strip()
    if not _is_field(key):
        raise BadInput("the key has signs in it that no key has: is it whole, and nothing else?")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    for number, line in enumerate(given, start=1):
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or not _is_field(line):
            raise BadInput(f'--header, number {number}: write it as "Name: value"')  # not repeated: it may be a key
        headers[name.strip().lower()] = value.strip()
    return headers


def _keeps(headers: dict[str, str]) -> None:
    """Raises BadInput where with these headers the gateway would keep nothing, or ask no model."""
    from gateway.bulk.items import BadInput
    from gateway.errors import CallerError
    from gateway.headers import wishes
    from gateway.question import Mode

    try:
        wished = wishes([(name.encode(), value.encode()) for name, value in headers.items()])
    except CallerError as error:
        raise BadInput(f"--header: {error}") from error
    if wished.no_store or wished.only_if_cached or wished.mode is Mode.OFF:
        raise BadInput(
            "--header: with cache-control: no-store or only-if-cached, or x-lookalike-mode: off, no answer is "
            "kept, so there is nothing to warm: leave that header out"
        )


def _is_field(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _out_form(file: Path | None, given: str | None, form: Any) -> Any:
    from gateway.warm.answers import OutForm
    from gateway.warm.places import check_suffix
    from gateway.warm.rows import Form

    if given:
        return OutForm(one_of(given, list(OutForm), "--out-form"))
    if file is not None:
        check_suffix(file)
        if file.suffix.lower() == ".csv":
            return OutForm.CSV
    return OutForm.OPENAI if form is Form.OPENAI else OutForm.ROWS


def one_of(word: str, words: list[Any], flag: str) -> str:
    from gateway.bulk.items import BadInput

    if word not in words:
        raise BadInput(f"{flag} {word}: it is one of {', '.join(words)}")
    return word
