"""What a classifying model is asked, and its reply to one of the labels, or to none. Pure."""

import re
import unicodedata
from collections.abc import Sequence

# A reply that goes on for longer explains itself, and may name any label.
_WORDS_MOST = 200
_PLACE = re.compile(r"\{(answer|prompt|labels)\}")
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)


def question(template: str, labels: Sequence[str], prompt: str, answer: str) -> str:
    """What the model is asked. What stands in an answer is never taken for a place of the template."""
    given = {"answer": answer, "prompt": prompt, "labels": ", ".join(labels)}
    return _PLACE.sub(lambda place: given[place[1]], template)


def normal(text: str) -> str:
    """Without case, punctuation and width: `Technical_Issue.` is `technical issue`."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"[^\W_]+", folded))


def label_of(reply: str, labels: Sequence[str]) -> str | None:
    """The label that the reply is, or else the only one that it names; None where it names none, or several."""
    said = normal(_THOUGHT.sub(" ", reply)[: _WORDS_MOST * 10])
    by_normal = {normal(label): label for label in labels}
    if said in by_normal:
        return by_normal[said]
    if len(said.split()) > _WORDS_MOST:
        return None
    named = [one for one in by_normal if re.search(rf"(?<!\w){re.escape(one)}(?!\w)", said)]
    # "issue" is in "technical issue": the longer one is meant, unless the shorter stands alone as well.
    whole = [one for one in named if not any(one != other and one in other for other in named)]
    return by_normal[whole[0]] if len(whole) == 1 else None
