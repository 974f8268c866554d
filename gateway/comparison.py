"""What the guard decided of two pictures, kept for people who look at it later. Nothing new is computed here."""

from cache.keys import Asked
from cache.lookup import Found, Miss, Near, Refused, Terms, threshold
from cache.marks import Marks
from cache.verdict import Doubt, Same, Verdict
from gateway.config import Settings
from gateway.fingerprint import Fingerprint
from gateway.question import Question
from gateway.sighting import Compared

# Refusals that say nothing of the pictures: the guard was not asked.
_NOT_OF_PICTURES = (Doubt.STALE, Doubt.NO_USAGE, Doubt.JUDGED_WRONG)
_PROMPT_MOST = 2_000  # characters of it that people may see


async def compared(
    found: Found, looks: Fingerprint, asked: Asked, terms: Terms, question: Question, settings: Settings, marks: Marks
) -> Compared | None:
    """What a lookup compared last; None where it compared no pictures."""
    match found:
        case Near(entry=entry, similarity=similarity, score=score):
            verdict: Verdict = Same(score)
        case Miss(refused=Refused(entry, similarity, verdict)) if verdict.doubt not in _NOT_OF_PICTURES:
            pass
        case _:
            return None
    embedded = await looks.embedded()
    assert embedded is not None, "without vectors nothing is nominated"
    return Compared(
        entry=entry,
        similarity=similarity,
        threshold=threshold(embedded, terms),
        verdict=verdict,
        limit=terms.guard_limit,
        asked=await looks.views() if settings.keeps_thumbnails else (),
        asked_exact=asked.exact,
        marks=tuple(map(marks.file, looks.files)),
        prompt=question.prompt[:_PROMPT_MOST] if settings.dashboard_prompts else None,
    )
