"""Exam questions: pages become an index by topic. A second scan of a page is answered from the cache; another version
of a question, which differs in one digit, never is."""

import json
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.stage import Stage, copy, fields, stage

HERE = Path(__file__).resolve().parent


def play(on: Stage) -> None:
    answers = on.out / "questions.jsonl"
    pages = [str(HERE / "pictures" / f"{number}.png") for number in (1, 2, 3)]
    on.lookalike("batch", *pages, "--prompts", str(HERE / "prompt.txt"), "--out", str(answers))
    index: defaultdict[str, list[str]] = defaultdict(list)
    for line in answers.read_text("utf-8").splitlines():
        found = fields(json.loads(line)["answer"], "number", "subject", "topics", "answer")
        topics = found["topics"] if isinstance(found["topics"], list) else [found["topics"]]
        for topic in map(str, topics):
            index[topic].append(f"question {found['number']} ({found['subject']}): {found['answer']}")
    text = "".join(f"## {topic}\n\n" + "".join(f"- {one}\n" for one in index[topic]) + "\n" for topic in sorted(index))
    (on.out / "index.md").write_text(text, "utf-8")
    on.say(text.strip())
    on.say(f"\nwritten to {on.out / 'index.md'}\n")
    scanned = on.ask(copy(on.picture("2.png"), quality=85))
    on.say(f"question 2, scanned again: {scanned.cache}, {fields(scanned.text, 'answer')['answer']}")
    other = on.ask(copy(on.picture("2b.png"), quality=85))
    answer = fields(other.text, "answer")["answer"]
    on.say(f"question 2 of the other version (9 in place of 7): {other.cache}, {answer}")


def main(words: list[str] | None = None) -> int:
    with stage(HERE, __doc__, words) as on:
        play(on)
    return 0


if __name__ == "__main__":
    sys.exit(main())
