"""How much memory `lookalike batch` takes for how many lines. Prints one table; run it as

    python -m benchmarks.batch [LINES ...]

Each run is a process of its own: `lookalike batch` as it is shipped. What it asks is no gateway but something that
answers everything at once and keeps nothing, in this process, so that the engine alone is measured. A line carries a
picture of 4 kB as base64, as OpenAI's batch lines do.
"""

import argparse
import base64
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.server import InThread

PICTURE = base64.b64encode(bytes(range(256)) * 16).decode()
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "It says 48.20. " * 20}, "finish_reason": "stop"}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [CHOICE],
    "usage": {"prompt_tokens": 800, "completion_tokens": 80, "total_tokens": 880},
}


async def answer(request: Request) -> Response:
    await request.body()
    return JSONResponse(ANSWER, headers={"cache-status": "lookalike; fwd=miss; detail=new-picture"})


async def health(request: Request) -> Response:
    return JSONResponse({"mode": "near", "embedder": {"state": "ready"}})


async def standin() -> ASGIApp:
    return Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"]), Route("/cache/health", health)])


def write_lines(file: Path, count: int) -> None:
    url = {"url": f"data:image/png;base64,{PICTURE}"}
    with file.open("w") as stream:
        for number in range(count):
            content = [{"type": "image_url", "image_url": url}, {"type": "text", "text": f"Price? {number}"}]
            body = {"model": "m", "messages": [{"role": "user", "content": content}]}
            line = {"custom_id": f"request-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
            stream.write(json.dumps(line) + "\n")


def run(folder: Path, count: int, url: str) -> tuple[float, float]:
    """Peak memory in MiB, and seconds."""
    source, out = folder / f"{count}.jsonl", folder / f"{count}.out.jsonl"
    write_lines(source, count)
    command = [sys.executable, "-m", "gateway", "batch", str(source), "--out", str(out), "--gateway", url]
    begun = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    with out.open("rb") as written:
        lines = sum(1 for _ in written)
    if child.returncode or lines != count:
        raise SystemExit(f"exit status {child.returncode}, {lines} answers for {count} lines")
    return usage.ru_maxrss / 1024, seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("lines", type=int, nargs="*", default=[1_000, 50_000])
    counts = parser.parse_args().lines
    print(f"Python {platform.python_version()}, {platform.machine()}\n")
    print("|   lines | peak MiB | seconds | lines/s |\n|--------:|---------:|--------:|--------:|")
    peaks = []
    with tempfile.TemporaryDirectory() as folder, InThread(standin) as server:
        for count in counts:
            peak, seconds = run(Path(folder), count, server.url)
            peaks.append(peak)
            print(f"| {count:>7,} | {peak:>8,.1f} | {seconds:>7,.1f} | {count / seconds:>7,.0f} |", flush=True)
    print(f"\nlargest to smallest: {max(peaks) / min(peaks):.3f}")


if __name__ == "__main__":
    main()
