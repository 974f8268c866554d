"""A host of pictures on 127.0.0.1 that says, byte for byte, what a test tells it to, and notes what it was asked."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import SocketStream
from anyio.streams.tls import TLSListener, TLSStream

CERTIFICATE = Path(__file__).parent / "pictures_test.pem"

Say = Callable[[str], bytes]
"""The target of a request, such as /a.png?sig=1, to the bytes of the answer."""


class PictureHost:
    def __init__(self, say: Say, then: str) -> None:
        self.asked: list[str] = []  # heads of the requests
        self.port = 0
        self._say = say
        self._then = then

    async def handle(self, stream: SocketStream | TLSStream) -> None:
        try:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += await stream.receive()
            self.asked.append(head.decode())
            await stream.send(self._say(head.split()[1].decode()))
            if self._then == "stay":  # say no more, and keep the connection
                await anyio.sleep_forever()
            while self._then == "go on":
                await stream.send(bytes(65536))
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError):
            pass
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(stream)

    def paths(self) -> list[str]:
        return [head.split()[1] for head in self.asked]

    def field(self, name: str) -> str | None:
        """Of the last request."""
        lines = (line.partition(": ") for line in self.asked[-1].splitlines())
        return next((value for key, _, value in lines if key.lower() == name), None)


@asynccontextmanager
async def picture_host(say: Say, then: str = "close", tls: bool = False) -> AsyncIterator[PictureHost]:
    """`then`, when all is said: close, stay (silent), or go on (for ever)."""
    host = PictureHost(say, then)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    host.port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon((TLSListener(listener, _server_side()) if tls else listener).serve, host.handle)
        yield host
        tasks.cancel_scope.cancel()


def answer(body: bytes, status: str = "200 OK", **fields: str) -> bytes:
    """An answer of HTTP/1.1 with these fields (underscores for dashes), Content-Length unless it is given."""
    given = {name.replace("_", "-"): value for name, value in fields.items()}
    if not given.keys() & {"content-length", "transfer-encoding"}:
        given["content-length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return answer(b"", status, location=location)


def trusting() -> ssl.SSLContext:
    """What a client that trusts pictures.test and hop.test goes by."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))


def _server_side() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context
