"""The settings file read again while the gateway runs (SIGHUP): what may change does, for the rest it says what to do.

All or nothing: a file that cannot be read, or says something that may not be, changes nothing.
"""

import logging
import signal
from collections.abc import Callable

import anyio

from gateway.account import Prices
from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.price import Price

log = logging.getLogger("lookalike")

# What can change while requests are under way: `Running.reload` hands each to who goes by it.
LIVE = ("prices", "embedding_price", "rules")


class Live:
    """The settings in force."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def price(self, model: str) -> Price | None:
        return self.settings.price(model)

    def prices(self) -> Prices:
        return Prices(self.price, self.settings.embedding_price)

    def take(self, read: Settings) -> None:
        """Take over what may change."""
        self.settings = self.settings.model_copy(update={name: getattr(read, name) for name in LIVE})


def reread(live: Live, load: Callable[[], Settings], take: Callable[[Settings], None]) -> None:
    """Read the settings again. Never raises: what is in force stays."""
    try:
        read = load()
    except ConfigError as error:
        log.error("the settings were not reloaded, and stay as they were: %s", error)
        return
    changed = [name for name in Settings.model_fields if getattr(read, name) != getattr(live.settings, name)]
    try:
        take(read)
    except Exception:
        log.exception("the settings were not reloaded")
        return
    taken, waiting = [name for name in changed if name in LIVE], [name for name in changed if name not in LIVE]
    log.info("the settings were reloaded; changed: %s", ", ".join(taken) or "nothing")
    if waiting:
        log.warning("these settings count from the next start on: %s", ", ".join(waiting))


async def on_hangup(live: Live, load: Callable[[], Settings], take: Callable[[Settings], None]) -> None:
    """Read the settings again at each SIGHUP, which would otherwise end the process."""
    if not hasattr(signal, "SIGHUP"):  # not on Windows
        return
    with anyio.open_signal_receiver(signal.SIGHUP) as hangups:
        async for _ in hangups:
            reread(live, load, take)
