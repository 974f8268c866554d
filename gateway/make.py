"""Single parts from the settings: the store, the embedder, the files beside the store. app.py puts them together."""

import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import httpx

from cache.stores.base import Clock, Store
from cache.stores.embedded import EmbeddedStore
from cache.stores.memory import MemoryStore
from cache.stores.private import PrivateStore
from embeddings.base import Loaded
from embeddings.clip import ClipOptions
from embeddings.registry import load
from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.fetch.fetcher import Fetcher, direct
from gateway.fetch.resolver import Resolve
from gateway.ledger import LEDGER_FILE
from gateway.shadowlog import SHADOW_FILE
from gateway.tracing import Tracing

wall_clock: Clock = time.time  # noqa: TID251 - the one place where clocks come from


def open_store(settings: Settings, clock: Clock = wall_clock) -> Store:
    def behind() -> float:
        """Answers that may stand in for an upstream are kept for as long past their time."""
        return clock() - settings.stale_if_error_s

    match settings.store:
        case "memory":
            return MemoryStore(behind, settings.cache_bytes_max)
        case "embedded" if settings.privacy == "strict":
            limits = settings.cache_bytes_max, settings.privacy_memory_bytes
            return PrivateStore.open(settings.cache_dir, behind, *limits)
        case "embedded":
            return EmbeddedStore.open(settings.cache_dir, behind, settings.cache_bytes_max)


def make_fetcher(settings: Settings, resolve: Resolve) -> Fetcher | None:
    if (rules := settings.fetching()) is None:
        return None
    trusted = httpx.create_ssl_context(trust_env=True)
    limits = settings.fetch_timeout_s, settings.fetch_bytes_max, settings.fetches_max
    return Fetcher(rules, resolve, direct(trusted), *limits)


def ledger_file(settings: Settings) -> Path | None:
    """Where the statistics are; None: a store in memory leaves nothing behind."""
    return settings.cache_dir / LEDGER_FILE if settings.store == "embedded" else None


def make_tracing(settings: Settings, clock: Clock, monotonic: Clock) -> Tracing | None:
    """None where no traces are wanted; then nothing of it is imported. Raises ConfigError."""
    if settings.otlp_endpoint is None:
        return None
    try:
        from gateway.telemetry import Telemetry, to_collector
    except ImportError as error:
        raise ConfigError(
            f"otlp_endpoint needs the extra otel: pip install --editable '.[otel]' in the clone ({error})"
        ) from error
    return Telemetry(to_collector(settings.otlp_endpoint), product_version(), clock, monotonic)


def shadow_file(settings: Settings) -> Path | None:
    """Where the shadow log is."""
    return file_beside(settings, SHADOW_FILE)


def file_beside(settings: Settings, name: str) -> Path | None:
    """A file beside the store; None: a store in memory leaves nothing behind."""
    return settings.cache_dir / name if settings.store == "embedded" else None


def load_embedder(settings: Settings) -> Loaded:
    """Blocking, and slow for CLIP. Raises EmbedderUnavailable."""
    options = ClipOptions(settings.clip_model, settings.clip_pretrained, settings.clip_device)
    return load(settings.embedder, options, settings.threshold)


def product_version() -> str:
    try:
        return version("lookalike")
    except PackageNotFoundError:
        return "not installed"
