"""Claims: a table of photos is assessed in bulk; what is severe goes to an adjuster at once; a photo that comes again
in another file costs nothing."""

import csv
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.stage import Stage, copy, fields, stage

HERE = Path(__file__).resolve().parent


def play(on: Stage, desk: list[dict[str, Any]]) -> None:
    assessed = on.out / "assessed.csv"
    on.lookalike("batch", str(HERE / "claims.csv"), "--prompts", str(HERE / "prompt.txt"), "--out", str(assessed))
    with assessed.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found = fields(row["answer"], "plate", "part", "damage", "severity")
            on.say(f"{row['id']}: {found['severity']!s:<7} {found['part']}, {found['damage']} ({found['plate']})")
    on.say(f"All of them as a table: {assessed}\n")
    again = on.ask(copy(on.picture("scratch.png"), quality=90))
    on.say(f"scratch.png once more, as the garage sent it: {again.cache}, tags {', '.join(again.tags)}")
    on.until(lambda: bool(desk), "an event for the severe claim")
    on.say(f"On the adjuster's desk: {fields(desk[0]['answer'], 'plate')['plate']}, tags {', '.join(desk[0]['tags'])}")


def main(words: list[str] | None = None) -> int:
    desk: list[dict[str, Any]] = []
    with stage(HERE, __doc__, words, {"adjusters": desk.append}) as on:
        play(on, desk)
    return 0


if __name__ == "__main__":
    sys.exit(main())
