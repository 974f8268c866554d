"""Which entries an operator means. Pure, but for the digest of a prompt that its caller makes."""

from collections.abc import Collection
from dataclasses import dataclass

from cache.entry import Entry


@dataclass(frozen=True, slots=True)
class Selection:
    """All that is given must hold; nothing given is every entry. `prompt` is a mark (cache/marks.py)."""

    model: str | None = None
    tenant: str | None = None  # its first digits
    prompt: str | None = None
    older_than_s: float | None = None
    newer_than_s: float | None = None

    def takes(self, entry: Entry, now_s: float) -> bool:
        age_s = entry.age_s(now_s)
        return (
            (self.model is None or entry.model == self.model)
            and (self.tenant is None or entry.tenant.startswith(self.tenant[: len(entry.tenant) or 1]))
            and (self.prompt is None or self.prompt in entry.prompts)
            and (self.older_than_s is None or age_s > self.older_than_s)
            and (self.newer_than_s is None or age_s < self.newer_than_s)
        )

    @property
    def facts(self) -> dict[str, object]:
        """What was given, for the audit log."""
        given = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in given.items() if value is not None}


def newest_first(entries: Collection[Entry]) -> list[Entry]:
    return sorted(entries, key=_place, reverse=True)


def page(entries: Collection[Entry], after: tuple[float, str] | None, limit: int) -> tuple[list[Entry], str | None]:
    """Up to `limit` entries that come after a place, and the place where the next page begins; None: it was the last.
    A place is a time and an id, so that it holds also when its entry is gone."""
    rest = [entry for entry in newest_first(entries) if after is None or _place(entry) < after]
    shown = rest[:limit]
    return shown, f"{shown[-1].created_s!r}~{shown[-1].id}" if len(rest) > limit else None


def place(text: str) -> tuple[float, str]:
    """The reverse of what `page` gives. Raises ValueError."""
    created, _, entry_id = text.partition("~")
    return float(created), entry_id


def _place(entry: Entry) -> tuple[float, str]:
    return entry.created_s, entry.id
