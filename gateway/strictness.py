"""How strict a lookup must be: of what operator, caller and kind of question demand, the strictest. Pure.

A kind of question is told by a pattern in the prompt's text. The kinds that ship demand nothing: the guard has to
be right for every question. They are counted, and one line of configuration tightens one.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cache.entry import Entry
from cache.verdict import Doubt
from gateway.question import Mode, Question, Scrutiny, Wishes

Cosine = Annotated[float, Field(gt=0, le=1)]

# A pattern is the operator's and may be slow, and it runs where every request waits for it.
TEXT_MOST: Final = 20_000


class Kind(BaseModel):
    """A kind of question, and what it demands of a stored answer. `pattern` is searched for in any case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[\w-]{1,40}$")  # it stands in log lines
    pattern: str = Field(min_length=1)
    mode: Mode = Mode.NEAR
    guard: Scrutiny = Scrutiny.NORMAL
    threshold: Cosine | None = None

    @model_validator(mode="after")
    def can_be_held_to(self) -> Self:
        if self.mode not in Mode.callers():
            raise ValueError(f'"{self.name}": mode must be one of {", ".join(Mode.callers())}')
        return self

    @model_validator(mode="after")
    def compiles(self) -> Self:
        try:
            re.compile(self.pattern, re.IGNORECASE)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f'"{self.name}": the pattern does not compile: {error}') from error
        return self


@dataclass(frozen=True, slots=True)
class Demand:
    """What a lookup must keep to. `threshold` is a cosine that nominates at the least; 0 demands nothing."""

    mode: Mode
    scrutiny: Scrutiny
    threshold: float
    kinds: tuple[str, ...] = ()  # that matched


def demands(prompt: str, kinds: Iterable[Kind], already: Demand) -> Demand:
    """`already`, made stricter by every kind of question that `prompt` is. Nothing is ever loosened."""
    found = _matching(prompt, kinds)
    return Demand(
        mode=reduce(Mode.stricter, (kind.mode for kind in found), already.mode),
        scrutiny=reduce(Scrutiny.stricter, (kind.guard for kind in found), already.scrutiny),
        threshold=max([already.threshold, *(kind.threshold or 0.0 for kind in found)]),
        kinds=tuple(kind.name for kind in found),
    )


def _matching(prompt: str, kinds: Iterable[Kind]) -> Sequence[Kind]:
    if len(prompt) > TEXT_MOST:  # what is not looked at may be any of them
        return tuple(kinds)
    text = unicodedata.normalize("NFKC", prompt)  # ＯＣＲ is OCR
    return [kind for kind in kinds if re.search(kind.pattern, text, re.IGNORECASE)]


def _words(english: str, chinese: str) -> str:
    # Not \b: in 用OCR读 no boundary stands before the O.
    return f"(?<![a-z])(?:{english})(?![a-z])|{chinese}"


DEFAULT_KINDS: Final = (
    Kind(
        name="reading",
        pattern=_words(
            "reads?|reading|ocr|transcri[a-z]+|extract[a-z]*|texts?|written|writing|handwriting|says?|spell[a-z]*|"
            "digits?|numbers?|prices?|amounts?|totals?|dates?",
            "识别|識別|文字|文本|字样|读出|讀出|念出|提取|抄录|抄錄|转写|轉寫|写着|寫著|写的|寫的|数字|數字|金额|金額|价格|價格|多少钱|多少錢|日期",
        ),
    ),
    Kind(
        name="counting",
        pattern=_words(
            "how many|counts?|counting|counted|number of|quantit(?:y|ies)|tally",
            "多少|几[个只张位条件辆本名人种]|幾[個隻張位條件輛本名人種]|数一数|數一數|数数|數數|数量|數量|一共|总共|總共",
        ),
    ),
    Kind(
        name="comparing",
        pattern=_words(
            "compar[a-z]+|differ|differs|differen[a-z]+|same as|versus|vs|than|largest|smallest|biggest|longest|"
            "shortest|tallest|highest|lowest|which (?:[a-z]+ ){0,3}(?:larger|smaller|bigger|longer|shorter|taller|"
            "higher|lower|more|most|fewer|less|least)",
            "比较|比較|对比|對比|相比|区别|區別|差异|差異|差别|差別|不同|哪[个個一边邊].{0,4}[更最]|一样|一樣|相同",
        ),
    ),
    Kind(
        name="colour",
        pattern=_words(
            "colou?r[a-z]*|hues?|shades?|red|green|blue|yellow|orange|purple|pink|brown|black|white|gr[ae]y",
            "颜色|顏色|色彩|色调|色調|什么色|什麼色|[红紅绿綠蓝藍黄黃黑白橙紫灰棕粉]色",
        ),
    ),
)


def staleness(allowed_s: float, wishes: Wishes) -> float:
    """Seconds past its time at which an answer may still serve this caller, if the upstream fails."""
    return 0.0 if wishes.min_fresh_s else min(allowed_s, wishes.stale_if_error_s)


def unfit(entry: Entry, question: Question, wishes: Wishes, now_s: float, stale_s: float = 0.0) -> Doubt | None:
    """What is against serving this entry to this caller, whatever its pictures are. `stale_s`: how far past its time
    it may be."""
    if wishes.max_age_s is not None and entry.age_s(now_s) > wishes.max_age_s:
        return Doubt.STALE
    if entry.expires_s + stale_s - now_s < wishes.min_fresh_s:
        return Doubt.STALE
    if question.needs_usage and entry.streamed and entry.tokens_out is None:
        return Doubt.NO_USAGE
    return None
