"""Settings: the only reader of the environment and of the configuration file.

From weak to strong: one TOML file, `LOOKALIKE_*` environment variables, command-line flags. A name that
does not exist is an error, so that a misspelt setting cannot go unnoticed.
"""

import os
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from gateway.batchlimits import Batches, refuse_unfit
from gateway.errors import ConfigError
from gateway.fetch.rules import Host, Rules
from gateway.labels.settings import Classifiers
from gateway.plainly import place, plainly
from gateway.price import EmbeddingPrice, Price
from gateway.question import Mode, Scrutiny
from gateway.rules import known
from gateway.rules.lines import in_a_rule
from gateway.rules.settings import Rule
from gateway.strictness import DEFAULT_KINDS, Cosine, Kind
from gateway.tenants import TRUST_S, Groups, Seconds
from gateway.trouble import Trouble
from gateway.webhooks.settings import Webhooks

PREFIX = "LOOKALIKE_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"

# What Kubernetes tells every container of a Service called lookalike.
_KUBERNETES = re.compile(r"LOOKALIKE_(SERVICE_|PORT_\d)")

_MIB = 2**20
# What was given there is not repeated: it may be, or hold, a secret.
_SECRETS = ("admin_token", "upstream_fallback_key", "webhooks", "classifiers", "shared")


class Settings(Trouble, BaseSettings):
    """Every setting, its default and its bounds. docs/configuration.md lists them; a test compares the two."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    upstream: str = Field(description="Base URL of the endpoint that serves the model, with or without /v1")
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    cache_dir: Path = Field(Path(".lookalike"), description="Directory of the store; one process at a time")
    store: Literal["embedded", "memory"] = Field("embedded", description="memory forgets everything on exit")
    cache_bytes_max: int = Field(
        10 * 1024 * _MIB, ge=_MIB, description="Bytes of stored answers and evidence; beyond it the least used go"
    )
    ttl_s: float = Field(
        30 * 86400, gt=0, allow_inf_nan=False, description="Seconds after which a stored answer is not served any more"
    )

    mode: Mode = Field(Mode.NEAR, description="Highest rung that may answer: off, exact, pixel or near; or shadow")
    embedder: Literal["auto", "clip", "dct"] = Field("auto", description="auto: clip, or dct if it has no weights")
    threshold: dict[Literal["clip", "dct"], Cosine] = Field(
        default_factory=dict, description="Cosine that nominates a near hit; default: the embedder's own (clip 0.95)"
    )
    guard_limit: float = Field(
        0.95, gt=0, le=0.95, description="Largest local difference, against what re-encoding explains, of one picture"
    )
    guard_limit_strict: float = Field(
        0.8, gt=0, le=0.95, description="The same, for callers and kinds of question that ask for a strict guard"
    )
    rules: tuple[Rule, ...] = Field((), description="What is done with answers as they are served")
    questions: tuple[Kind, ...] = Field(DEFAULT_KINDS, description="Kinds of question, and what each demands")
    clip_model: str = Field("ViT-B-32", description="open_clip model name")
    clip_pretrained: str = Field("laion2b_s34b_b79k", description="open_clip tag, or path of a local checkpoint")
    clip_device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where CLIP runs")
    embed_timeout_s: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="Seconds that a lookup waits for the embedder before it is a miss"
    )
    lookup_timeout_s: float = Field(
        3.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that a request waits for the cache before it goes on without",
    )
    privacy: Literal["standard", "strict"] = Field(
        "standard", description="strict: nothing that can show a picture is written to disk"
    )
    privacy_memory_bytes: int = Field(
        256 * _MIB, ge=_MIB, description="Bytes of evidence and vectors in memory under strict privacy"
    )
    evidence_bytes_max: int = Field(200_000, ge=1024, description="Bytes kept of one picture for the guard")
    workers: int = Field(
        default_factory=lambda: max(2, os.cpu_count() or 2),
        ge=1,
        description="Threads that decode and compare",
    )

    upstream_stateless: bool = Field(
        False, description="The upstream keeps no answer once it is given, so that none can be asked for by its id"
    )
    connect_timeout_s: float = Field(10, gt=0, description="Seconds to reach the upstream")
    read_timeout_s: float = Field(30, gt=0, description="Seconds without a byte from the upstream, the first included")
    upstream_connections_max: int = Field(1000, ge=1, description="Connections to the upstream at once")

    coalesce: bool = Field(True, description="One upstream call for requests that are alike and in flight at once")
    coalesce_look_s: float = Field(2, gt=0, description="Seconds to find a request's like among those in flight")
    coalesce_wait_s: float = Field(20, gt=0, description="Seconds without a byte in which an answer is waited for")

    body_bytes_max: int = Field(
        64 * _MIB, ge=1024, description="Largest request that is read for the cache; larger ones are streamed past it"
    )
    receive_timeout_s: float = Field(
        60.0, gt=0, le=3600, description="Seconds for the head of a request, and for a body beyond 1,000 bytes a second"
    )
    head_bytes_max: int = Field(65_536, ge=1024, le=16 * _MIB, description="Largest head of a request, in bytes")
    head_fields_max: int = Field(256, ge=8, description="Header fields of a request at most")
    connections_max: int = Field(4096, ge=1, description="Connections of clients at once")
    reply_bytes_max: int = Field(8 * _MIB, ge=1024, description="Largest reply that is kept")
    shadow_log_bytes_max: int = Field(
        64 * _MIB, ge=4096, description="Size at which the shadow log is rotated; one file before it is kept"
    )
    pixels_max: int = Field(50_000_000, ge=1, description="Largest picture that is decoded, in pixels")
    request_pixels_max: int = Field(200_000_000, ge=1, description="... and all the pictures of one request together")
    request_pictures_max: int = Field(64, ge=1, description="Pictures of a request that the cache looks at, at most")
    decode_timeout_s: float = Field(
        10.0, gt=0, allow_inf_nan=False, description="Seconds for decoding the pictures of one request, each time"
    )

    fetch_pictures: Literal["off", "public"] | tuple[str, ...] = Field(
        "off", description="Whose http(s) pictures are fetched to know them by content: a list of hosts, or public"
    )
    fetch_private_hosts: tuple[str, ...] = Field((), description="Hosts that are fetched from even where private")
    fetched_pictures: Literal["inline", "url"] = Field(
        "inline", description="What the upstream gets: the fetched picture, or the URL as it came"
    )
    fetch_timeout_s: float = Field(5.0, gt=0, le=60, description="Seconds for all the pictures of one request")
    fetch_bytes_max: int = Field(7 * _MIB, ge=1024, description="Largest picture that is fetched, in bytes")
    fetches_max: int = Field(16, ge=1, description="Pictures that are fetched at once, for all requests")

    batches: Batches = Field(
        "off", description="on, or a table of limits: serve /v1/files and /v1/batches here, for upstreams without them"
    )
    stream_usage: Literal["as-asked", "always"] = Field(
        "as-asked", description="always: ask the upstream for every stream's token counts, hidden from who did not ask"
    )
    dashboard_pictures: bool = Field(
        True,
        description="Keep small pictures of near hits and near misses; none under strict privacy",
    )
    dashboard_prompts: bool = Field(
        False, description="Show the prompts of near hits and near misses on the dashboard; kept in memory alone"
    )
    credential_trust_s: Seconds = Field(
        TRUST_S, description="Seconds for which a key is answered from the cache after the upstream accepted it"
    )
    shared: Groups = Field((), description="Groups of keys that share their answers")
    admin_token: SecretStr | None = Field(None, description="Token that the /cache/ endpoints need")
    admin_token_file: Path | None = Field(None, description="File whose first line is that token")
    admin_access: Literal["token", "open", "off"] = Field(
        "token",
        description="Beyond loopback without a token: off (liveness only) or open (to whoever reaches the port)",
    )
    admin_origins: tuple[str, ...] = Field((), description="Origins by which browsers reach /cache/ through a proxy")
    prices: dict[str, Price] = Field(default_factory=dict, description="Price by model name; * for any other")
    embedding_price: EmbeddingPrice | None = Field(
        None, description="Price of an hour of the embedder's work, which is taken off what is saved"
    )
    webhooks: Webhooks = Field((), description="Who is told of answers that a rule holds for")
    classifiers: Classifiers = Field((), description="Models that put a label to an answer, for rules")
    otlp_endpoint: str | None = Field(
        None, description="Where traces are sent (OTLP over HTTP), such as http://localhost:4318; none without it"
    )
    log_format: Literal["text", "json"] = Field("text", description="One line per request, for people or programs")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe line logged")

    @field_validator("port", mode="before")
    @classmethod
    def is_not_a_service_of_kubernetes(cls, value: Any) -> Any:
        # Kubernetes gives every container LOOKALIKE_PORT=tcp://... for a Service of that name.
        return 8080 if isinstance(value, str) and value.startswith("tcp://") else value

    @field_validator("threshold", mode="before")
    @classmethod
    def belongs_to_an_embedder(cls, value: Any, info: ValidationInfo) -> Any:
        # A number is meant for the embedder asked for; under "auto" that is clip, and its fallback keeps its own.
        asked_for = "dct" if info.data.get("embedder") == "dct" else "clip"
        return value if isinstance(value, dict) else {asked_for: value}

    @field_validator("questions", mode="before")
    @classmethod
    def keep_the_default_pattern(cls, value: Any) -> Any:
        patterns = {kind.name: kind.pattern for kind in DEFAULT_KINDS}

        def completed(entry: Any) -> Any:
            known = isinstance(entry, dict) and isinstance(entry.get("name"), str) and entry["name"] in patterns
            return {"pattern": patterns[entry["name"]]} | entry if known else entry

        return [completed(entry) for entry in value] if isinstance(value, list | tuple) else value

    @field_validator("questions")
    @classmethod
    def with_the_default_kinds(cls, value: tuple[Kind, ...]) -> tuple[Kind, ...]:
        names = [kind.name for kind in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f'"{twice[0]}" is given twice')
        return (*(kind for kind in DEFAULT_KINDS if kind.name not in names), *value)

    @field_validator("fetch_pictures", mode="before")
    @classmethod
    def is_a_word_or_a_list(cls, value: Any) -> Any:
        is_list = isinstance(value, list | tuple) and all(isinstance(entry, str) for entry in value)
        if value not in ("off", "public") and not is_list:
            raise ValueError('give "off", "public", or a list of hosts such as ["images.example.com"]')
        return value

    @field_validator("fetch_pictures", "fetch_private_hosts")
    @classmethod
    def are_hosts(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for entry in value if isinstance(value, tuple) else ():
            Host.of(entry)
        return value

    @model_validator(mode="after")
    def belongs_together(self) -> Self:
        known.check(self.rules, self.webhooks, self.classifiers)
        refuse_unfit(self.batches, self.privacy, self.store)
        if self.fetch_private_hosts and self.fetch_pictures == "off":
            raise ValueError(
                "fetch_private_hosts: nothing is fetched; set fetch_pictures = [] to fetch from these alone"
            )
        return self

    @field_validator("upstream", "upstream_fallback", "otlp_endpoint")
    @classmethod
    def is_a_base_url(cls, value: str | None) -> str | None:
        import httpx

        if value is None:
            return None
        try:
            url = httpx.URL(value)
        except httpx.InvalidURL as error:
            # httpx repeats what it could not read, which may be a password.
            raise ValueError("not a URL" if "@" in value else f"not a URL: {error}") from error
        if url.scheme not in ("http", "https") or not url.host or (url.port or 0) > 65535:
            raise ValueError("give a URL such as http://localhost:8000 or https://host/compatible-mode/v1")
        if url.query or url.fragment or url.userinfo:
            raise ValueError("give the base URL alone, without query, fragment or password")
        return value.rstrip("/")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    def limit(self, scrutiny: Scrutiny) -> float:
        """The guard's score above which two pictures do not count as one."""
        return self.guard_limit if scrutiny is Scrutiny.NORMAL else min(self.guard_limit, self.guard_limit_strict)

    def fetching(self) -> Rules | None:
        """Which URLs of pictures may be fetched; None: none at all."""
        if self.fetch_pictures == "off":
            return None
        hosts = None if isinstance(self.fetch_pictures, str) else tuple(map(Host.of, self.fetch_pictures))
        return Rules(hosts, tuple(map(Host.of, self.fetch_private_hosts)))

    @property
    def keeps_thumbnails(self) -> bool:
        return self.dashboard_pictures and self.privacy == "standard"

    def price(self, model: str) -> Price | None:
        return self.prices.get(model) or self.prices.get("*")


def variable(name: str) -> str | None:
    """A variable of the environment that the user names: one with a key, so that no command line has it."""
    return os.environ.get(name)


def load_settings(config: Path | None = None, **flags: Any) -> Settings:
    """The settings in force. Flags that are None were not given. Raises ConfigError in words."""
    path = config or (Path(named) if (named := os.environ.get(CONFIG_VARIABLE)) else None)
    if path is not None and not path.is_file():
        raise ConfigError(f"there is no configuration file {path}")
    _refuse_unknown_variables()

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=path)

    try:
        return FromFile(**{name: value for name, value in flags.items() if value is not None})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except SettingsError as error:  # the value is not repeated
        _, name, *_ = str(error).split('"')
        words = f'{name}: {PREFIX}{name.upper()} is not JSON, as lists and tables are there: ["a", "b"] or {{"a": 1}}'
        raise ConfigError(words) from error
    except ValidationError as error:
        raise ConfigError(_in_words(error, path)) from error


def _refuse_unknown_variables() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {CONFIG_VARIABLE}
    ours = [name for name in os.environ if name.upper().startswith(PREFIX) and not _KUBERNETES.match(name)]
    unknown = sorted(name for name in ours if name.upper() not in known)
    if unknown:
        raise ConfigError(f"no such setting: {', '.join(unknown)} (in the environment)")


def _in_words(error: ValidationError, path: Path | None) -> str:
    lines = []
    from_environment = any(name.upper() == f"{PREFIX}RULES" for name in os.environ)
    rules_file = None if from_environment else path
    text = rules_file.read_text("utf-8") if rules_file else ""
    for problem in error.errors():
        name = in_a_rule(problem, rules_file, text) or place(problem) or "settings"
        match problem["type"]:
            case "missing" if len(problem["loc"]) == 1:
                words = f"is needed: --{name.replace('_', '-')}, {PREFIX}{name.upper()} or `{name}` in the TOML file"
            case "extra_forbidden":
                words = f"is no setting{f' (in {path})' if path else ''}"
            case kind if kind in ("missing", "value_error") or name.startswith(_SECRETS):
                words = plainly(problem)  # the value may hold a password: it is not repeated
            case _:
                words = f"{plainly(problem)} (got {problem['input']!r})"
        lines.append(f"{name}: {words}")
    return "\n".join(lines)
