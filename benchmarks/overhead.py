"""What the gateway costs, side by side in one run on the same bodies.

    python benchmarks/overhead.py                        # about ten minutes, dct and a random CLIP
    python benchmarks/overhead.py --clip-pretrained laion2b_s34b_b79k

Every server is a process of its own (uvicorn, httptools, uvloop, one worker); the load comes from this
process over kept-alive connections. Machines are shared: read the ratios, not the milliseconds.
"""

import argparse
import asyncio
import base64
import itertools
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import uvicorn
from PIL import Image
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ROOT = Path(__file__).resolve().parent.parent
SEED = 20261123
SIZES = {"100 KB": 100_000, "600 KB": 600_000}
ROUNDS = 4
QUESTION = "What is in this picture?"
NO_STORE = "Cache-Control: no-store\r\n"  # the same pictures must miss again
MARK = b"@@@@@@@@"  # in a body: another number each time it is sent
counter = itertools.count()
console = Console(width=150)


@dataclass(frozen=True)
class Case:
    """Requests of one kind; `expect` is what Cache-Status must say of every one of them."""

    name: str
    port: int
    bodies: Sequence[bytes]
    expect: str | None = None
    headers: str = ""


@dataclass(frozen=True)
class Result:
    case: str
    p50: float
    p95: float
    p99: float
    per_second: float


# --- servers -----------------------------------------------------------------------------------------------------


def answering_app(path: str) -> Starlette:
    """Reads the body and answers a chat completion: the stand-in upstream and the bare app are the same program."""
    message = {"role": "assistant", "content": "A picture of nothing in particular."}
    reply = {
        "id": "chatcmpl-benchmark",
        "object": "chat.completion",
        "created": 1,
        "model": "stand-in",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 800, "completion_tokens": 8, "total_tokens": 808},
    }
    body = json.dumps(reply).encode()

    async def answer(request: Request) -> Response:
        await request.body()
        return Response(body, media_type="application/json")

    return Starlette(routes=[Route(path, answer, methods=["POST"])])


def serve_answering(port: int) -> None:
    uvicorn.run(answering_app("/v1/chat/completions"), port=port, access_log=False, http="httptools", log_level="error")


@contextmanager
def process(*command: str, port: int) -> Iterator[int]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # Eight CLIP requests at once on two cores take longer than the second that a lookup waits by default.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "LOOKALIKE_EMBED_TIMEOUT_S": "60"}
    with subprocess.Popen([sys.executable, *command], env=environment, cwd=ROOT, **quiet) as child:  # type: ignore[call-overload]
        try:
            wait_for(port)
            yield port
        finally:
            child.terminate()
            child.wait()


def wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


@contextmanager
def gateway(upstream: int, folder: str, *flags: str) -> Iterator[int]:
    port = free_port()
    command = ("-m", "gateway", "serve", "--upstream", f"http://127.0.0.1:{upstream}", "--port", str(port))
    with process(*command, "--cache-dir", folder, "--log-level", "error", *flags, port=port):
        until = time.monotonic() + 300
        while httpx.get(f"http://127.0.0.1:{port}/cache/health").json()["embedder"]["state"] == "loading":
            if time.monotonic() > until:
                raise SystemExit("the embedder never became ready")
            time.sleep(0.1)
        yield port


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- bodies ------------------------------------------------------------------------------------------------------


def picture(body_bytes: int, seed: int) -> Image.Image:
    """A textured scene whose JPEG at quality 90 makes a request of about this size."""
    side = 256
    while True:
        image = scene(side, seed)
        if len(jpeg(image, 90)) * 4 / 3 >= body_bytes * 0.97 or side > 6000:
            return image
        side = int(side * 1.08)


def scene(side: int, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    size = (side * 4 // 3, side)
    layers = np.zeros((size[1], size[0], 3), np.float32)
    for cells, strength in ((4, 70), (16, 40), (64, 22), (256, 12)):
        coarse = rng.normal(0, strength, (cells, cells, 3)).clip(-127, 127).astype(np.int16) + 128
        layers += (
            np.asarray(Image.fromarray(coarse.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC), np.float32)
            - 128
        )
    return Image.fromarray((layers + 128).clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int, comment: str = "") -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=quality, comment=comment.encode())
    return file.getvalue()


def request_body(file: bytes, question: str = QUESTION) -> bytes:
    url = "data:image/jpeg;base64," + base64.b64encode(file).decode()
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": question}]
    body = {"model": "stand-in", "messages": [{"role": "user", "content": content}], "temperature": 0}
    return json.dumps(body).encode()


# --- load --------------------------------------------------------------------------------------------------------


async def measure(case: Case, requests: int, concurrent: int) -> tuple[list[float], float]:
    """`requests` in all over `concurrent` connections, each sending its next as soon as it has an answer.
    (seconds that each took, seconds in all)"""
    todo = iter(range(requests))
    took: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", case.port, limit=2**22)
        for number in todo:
            body = case.bodies[number % len(case.bodies)].replace(MARK, b"%08d" % next(counter))
            head = (
                "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"{case.headers}Content-Length: {len(body)}\r\n\r\n"
            )
            begun = time.perf_counter()
            writer.write(head.encode() + body)
            await writer.drain()
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fields = dict(line.lower().split(": ", 1) for line in answer.split("\r\n")[1:] if line)
            await reader.readexactly(int(fields["content-length"]))
            took.append(time.perf_counter() - begun)
            status = fields.get("cache-status", "")
            if " 200 " not in answer.split("\r\n")[0] or (case.expect and case.expect not in status):
                raise SystemExit(f"{case.name}: not what was to be measured: {answer}")
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(concurrent)))
    return took, time.perf_counter() - begun


def compare(todo: list[Case], requests: int, concurrent: int, ports: dict[str, int]) -> list[Result]:
    """The cases by turns, in rounds, so that a busy minute of the machine is everybody's."""
    took: dict[str, list[float]] = {case.name: [] for case in todo}
    seconds = dict.fromkeys(took, 0.0)
    for case in todo:
        asyncio.run(measure(case, min(20, requests), concurrent))  # warm
    for case in todo * ROUNDS:
        settle(ports)
        slow = case.name[0] not in "abd"
        each, all_s = asyncio.run(measure(case, max(10, requests // (ROUNDS * (3 if slow else 1))), concurrent))
        took[case.name] += each
        seconds[case.name] += all_s
    return [result(name, took[name], seconds[name]) for name in took]


def result(name: str, took: list[float], seconds: float) -> Result:
    cuts = statistics.quantiles([t * 1000 for t in took], n=100, method="inclusive")
    return Result(name, cuts[49], cuts[94], cuts[98], len(took) / seconds)


def cases(size: int, count: int, ports: dict[str, int]) -> list[Case]:
    image = picture(size, SEED)
    stored = request_body(jpeg(image, 90))
    others = [request_body(jpeg(picture(size, SEED + 1 + n), 90)) for n in range(min(count, 24))]
    never_asked = [request_body(jpeg(image, 90), f"{QUESTION} ({MARK.decode()})")]
    same_pixels = [request_body(jpeg(image, 90, f"copy {n}")) for n in range(min(count, 64))]
    reencoded = [request_body(jpeg(image, 84, f"copy {n}")) for n in range(min(count, 64))]
    found = [
        Case("a direct to the stand-in upstream", ports["upstream"], [stored]),
        Case("b bare Starlette app", ports["bare"], [stored]),
    ]
    for embedder in ("dct", "clip"):
        if port := ports.get(embedder):
            httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", content=stored, timeout=60).raise_for_status()
            if embedder == "dct":
                found += [
                    Case("c miss, forwarded only", port, never_asked, "fwd=miss", NO_STORE),
                    Case("c miss, forwarded and stored", port, never_asked, "fwd=miss"),
                    Case("d exact hit", port, [stored], "detail=exact"),
                    Case("e pixel hit", port, same_pixels, "detail=pixel"),
                ]
            found += [
                Case(f"c miss, new picture ({embedder})", port, others, "fwd=miss", NO_STORE),
                Case(f"f near hit ({embedder})", port, reencoded, "detail=near"),
            ]
    return found


# --- report ------------------------------------------------------------------------------------------------------


def show(title: str, results: list[Result]) -> None:
    bare = next(result for result in results if result.case.startswith("b "))
    direct = next(result for result in results if result.case.startswith("a "))
    table = Table(title=title)
    for name in ("case", "p50 ms", "p95 ms", "p99 ms", "p50 over direct, ms", "requests/s", "of bare app"):
        table.add_column(name, justify="left" if name == "case" else "right")
    for r in results:
        cells = [r.p50, r.p95, r.p99, r.p50 - direct.p50]
        share = f"{r.per_second / bare.per_second:.0%}"
        table.add_row(r.case, *(f"{cell:.2f}" for cell in cells), f"{r.per_second:.0f}", share)
    console.print(table)


def settle(ports: dict[str, int]) -> None:
    """An upstream that answers at once leaves answers waiting to be stored: no case may pay for the one before."""
    for name in ("dct", "clip"):
        stored = -1
        while name in ports:
            before, stored = stored, httpx.get(f"http://127.0.0.1:{ports[name]}/cache/stats").json()["stored"]
            if stored == before:
                break


def clip_flags(pretrained: str | None, folder: str) -> tuple[str, ...]:
    """Real weights if named; otherwise random ones of the default model: the same work, no quality."""
    if pretrained is None:
        import open_clip
        import torch

        torch.manual_seed(SEED)
        pretrained = f"{folder}/random-vit-b-32.pt"
        torch.save(open_clip.create_model("ViT-B-32").state_dict(), pretrained)
    return ("--embedder", "clip", "--clip-pretrained", pretrained)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=300, help="per case and concurrency; a third for the slow ones")
    parser.add_argument("--clip-pretrained", help="open_clip tag or checkpoint; default: random weights")
    parser.add_argument("--without-clip", action="store_true")
    parser.add_argument("--answer", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        return serve_answering(options.answer)
    console.print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, seed {SEED}, {options.requests} requests per case"
    )
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        ports: dict[str, int] = {}
        for name in ("upstream", "bare"):
            port = free_port()
            ports[name] = stack.enter_context(process(__file__, "--answer", str(port), port=port))
        ports["dct"] = stack.enter_context(gateway(ports["upstream"], f"{folder}/dct", "--embedder", "dct"))
        if not options.without_clip:
            flags = clip_flags(options.clip_pretrained, folder)
            ports["clip"] = stack.enter_context(gateway(ports["upstream"], f"{folder}/clip", *flags))
        for name, size in SIZES.items():
            todo = cases(size, options.requests, ports)
            for concurrent in (1, 8):
                show(f"{name} bodies, {concurrent} at once", compare(todo, options.requests, concurrent, ports))
    return None


if __name__ == "__main__":
    main()
