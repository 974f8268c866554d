"""Product tagging: a catalogue is warmed once; then every shop's own copy of a picture is answered from the cache."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.stage import Stage, copy, stage

HERE = Path(__file__).resolve().parent


def play(on: Stage) -> None:
    catalogue = str(HERE / "pictures")
    on.lookalike("warm", catalogue, "--prompts", str(HERE / "prompt.txt"))
    on.say("Warmed: every picture of the catalogue was asked about once.\n")
    for name in ("shirt.png", "mug.png", "phone.png", "lamp.png"):
        reply = on.ask(copy(on.picture(name), quality=80, scale=0.75))
        on.say(f"{name} as a shop's smaller JPEG: {reply.cache}, tags {', '.join(reply.tags) or 'none'}")
        on.say(f"  {reply.text}")
    on.lookalike("batch", catalogue, "--prompts", str(HERE / "prompt.txt"), "--out", str(on.out / "products.csv"))
    on.say(f"\nThe whole catalogue as a table, from the cache: {on.out / 'products.csv'}")
    if on.standin:
        on.say(f"The stand-in was asked {on.standin.calls} times for 12 answers.")


def main(words: list[str] | None = None) -> int:
    with stage(HERE, __doc__, words) as on:
        play(on)
    return 0


if __name__ == "__main__":
    sys.exit(main())
