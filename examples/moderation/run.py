"""Moderation: the same harmless picture is judged once; what is flagged goes to the moderators, every time anew."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.stage import Stage, copy, stage

HERE = Path(__file__).resolve().parent


def play(on: Stage, queue: list[dict[str, Any]]) -> None:
    for name in ("sunset.png", "cat.png", "prize.png"):
        for title, file in (("posted", on.picture(name)), ("posted again by someone else", copy(on.picture(name)))):
            reply = on.ask(file)
            flags = f" [{', '.join(reply.tags)}]" if reply.tags else ""
            on.say(f"{name} {title}: {reply.cache}{flags}\n  {reply.text}")
    on.until(lambda: len(queue) >= 2, "an event for each flagged post")
    on.say("\nIn the moderators' queue:")
    for data in queue:
        on.say(f"  {data['rule']}: {data['answer']} (asked: {data['prompt'].split(',')[0]}…)")


def main(words: list[str] | None = None) -> int:
    queue: list[dict[str, Any]] = []
    with stage(HERE, __doc__, words, {"moderators": queue.append}) as on:
        play(on, queue)
    return 0


if __name__ == "__main__":
    sys.exit(main())
