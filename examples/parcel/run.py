"""Damaged parcels: a photo is described, the case is named, and the workshop gets a signed event and a work order."""

import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.stage import Stage, copy, stage

HERE = Path(__file__).resolve().parent


class Workshop:
    """What the receiver does with an event: one work order for one damaged parcel, however often its photo comes."""

    def __init__(self) -> None:
        self.events = 0
        self.orders: dict[str, dict[str, Any]] = {}

    def __call__(self, data: dict[str, Any]) -> None:
        self.events += 1
        finding = data["answer"].partition(" We are sorry.")[0]  # what a rule added is the customer's
        order = re.search(r"\d\d-\d{4}", finding)
        parcel = order[0] if order else data["entry"]
        self.orders.setdefault(parcel, {"parcel": parcel, "case": data["label"], "finding": finding})

    def write(self, folder: Path) -> list[Path]:
        files = [folder / f"work-order-{name}.json" for name in sorted(self.orders)]
        for file, name in zip(files, sorted(self.orders), strict=True):
            file.write_text(json.dumps(self.orders[name], indent=2, ensure_ascii=False) + "\n", "utf-8")
        return files


def play(on: Stage, workshop: Workshop) -> None:
    photos = {
        "torn.png, from the customer": on.picture("torn.png"),
        "whole.png": on.picture("whole.png"),
        "wet.png": on.picture("wet.png"),
        "torn.png again, from the courier's app": copy(on.picture("torn.png"), quality=75, scale=0.8),
    }
    for title, photo in photos.items():
        reply = on.ask(photo)
        on.say(f"{title}: {reply.cache}\n  {reply.text}")
    on.until(lambda: workshop.events >= 3 and sum(on.delivered().values()) >= 3, "an event for each damaged photo")
    on.say(f"\n{workshop.events} events came, each with a good signature. Work orders:")
    for file in workshop.write(on.out):
        on.say(f"  {file}")
        on.say("  " + file.read_text("utf-8").strip().replace("\n", "\n  "))


def main(words: list[str] | None = None) -> int:
    workshop = Workshop()
    with stage(HERE, __doc__, words, {"workshop": workshop}) as on:
        play(on, workshop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
