"""An application on a socket: uvicorn, set up so that the upstream's bytes stay the upstream's."""

import asyncio
import errno
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import anyio
import uvicorn
from rich.console import Console
from starlette.types import ASGIApp

from cache.errors import CacheFault
from embeddings.base import EmbedderUnavailable
from embeddings.batching import Failed
from gateway import logs
from gateway.admin.policy import policy
from gateway.app import Running, create_app
from gateway.config import Settings
from gateway.door import Limits, door
from gateway.drain import Server
from gateway.errors import ConfigError
from gateway.make import open_store, product_version, shadow_file
from gateway.question import Mode
from gateway.reload import on_hangup

_LIMITS = Limits()
_BACKLOG = 2048
_DRAIN_S = 30.0
# Longer than clients keep an idle connection, so that it is they who close it and no request meets a closed door.
_KEEP_ALIVE_S = 75
# Worker threads decode and compare pictures beside the event loop. At Python's 5 ms, each of them can hold up
# every hit by that much before it lets go of the interpreter.
_SWITCH_S = 0.0005


def server(
    app: ASGIApp,
    host: str,
    port: int,
    limits: Limits = _LIMITS,
    drain_s: float = _DRAIN_S,
    draining: Callable[[], None] = lambda: None,
) -> Server:
    """Without uvicorn's own Server and Date fields: a reply carries the upstream's. WebSockets are not relayed."""
    return Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=door(limits),
            ws="none",
            access_log=False,
            server_header=False,
            date_header=False,
            log_config=None,
            timeout_keep_alive=_KEEP_ALIVE_S,
        ),
        drain_s,
        draining,
    )


def limits_of(settings: Settings) -> Limits:
    return Limits(
        settings.receive_timeout_s, settings.head_bytes_max, settings.head_fields_max, settings.connections_max
    )


def run(settings: Settings, console: Console, load: Callable[[], Settings]) -> None:
    """Serve until told to stop; `load` reads the settings again when they may have changed. Exits with 1, and a reason
    in words, if the gateway cannot start."""
    logs.configure(settings.log_format, settings.log_level)
    sys.setswitchinterval(_SWITCH_S)
    _open_more_files()
    try:
        _loop_runner().run(_serve(settings, load, console))
    except ConfigError as error:
        console.print(f"[red]The gateway cannot start:[/] {error}", highlight=False)
        sys.exit(1)
    except CacheFault as error:
        console.print(f"[red]The store cannot be opened:[/] {error}", highlight=False)
        sys.exit(1)
    except EmbedderUnavailable as error:
        console.print(f"[red]The embedder asked for cannot be had:[/] {error}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        return


async def _serve(settings: Settings, load: Callable[[], Settings], console: Console) -> None:
    policy(settings)  # before anything is opened
    with _listener(settings.host, settings.port) as listener:
        store = open_store(settings)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"http://{host}:{listener.getsockname()[1]}"
        app = create_app(settings, store)
        running: Running = app.state.running
        told = settings.drain_s, running.drain
        listening = server(app, settings.host, settings.port, limits_of(settings), *told)
        console.print(
            f"lookalike {product_version()} in front of {settings.upstream}\n"
            f"  point your client's base_url at  {address}/v1\n"
            f"  dashboard                        {address}/cache/dashboard\n"
            f"  statistics                       {address}/cache/stats\n"
            f"  health                           {address}/cache/health{_shadow_note(settings)}",
            highlight=False,
        )
        why: list[str] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_stop_without_embedder, running.embedding.ready, listening, why)
            tasks.start_soon(on_hangup, running.live, load, running.reload)
            await listening.serve(sockets=[listener])
            tasks.cancel_scope.cancel()
    if why:
        raise EmbedderUnavailable(why[0])


def _shadow_note(settings: Settings) -> str:
    if settings.mode is not Mode.SHADOW:
        return ""
    file = shadow_file(settings)
    where = f"`lookalike calibrate --log {file}` reads what it notes" if file else "only /cache/stats counts (no disk)"
    return f"\n  shadow mode: everything is forwarded, nothing is served from the cache; {where}"


def _listener(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigError in words where there can be none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(_no_listener(host, port, error)) from error


def _no_listener(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} of {host} is in use: give another with --port, or stop what listens there"
        case errno.EACCES:
            return f"port {port} is not for this user: give one above 1023 with --port"
        case errno.EADDRNOTAVAIL | socket.EAI_NONAME:
            return f"{host} is no address of this machine: give another with --host"
        case _:
            return f"cannot listen on {host}, port {port}: {error.strerror or error}"


async def _stop_without_embedder(
    ready: Callable[[], Awaitable[object]], listening: uvicorn.Server, why: list[str]
) -> None:
    """An embedder that was asked for by name and cannot be had ends the start; `auto` never fails."""
    match await ready():
        case Failed(why=reason):
            why.append(reason)
            listening.should_exit = True


def _open_more_files() -> None:
    """A request takes two connections, and many systems allow a process 1,024 files unless it asks for more."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _loop_runner() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:  # not made for Windows
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


class InThread:
    """An application served on loopback from a thread of its own, for the demo, the benchmarks and the tests."""

    def __init__(self, make: Callable[[], Awaitable[ASGIApp]], limits: Limits = _LIMITS, port: int = 0) -> None:
        self._make = make
        self._limits = limits
        self._socket = _listener("127.0.0.1", port)
        self._ready = threading.Event()
        self._server: Server | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="lookalike-server", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._socket.close()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        try:
            with _loop_runner() as runner:
                runner.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._server = server(await self._make(), "127.0.0.1", 0, self._limits)
        # Set from within: uvicorn has no hook for "I am listening", but the socket already queues connections.
        asyncio.get_running_loop().call_soon(self._ready.set)
        await self._server.serve(sockets=[self._socket])
