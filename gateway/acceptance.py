"""Which credentials the upstream accepted, for what, and when: no other is answered from the cache.

Kept beside the store as keyed digests and times, so that a restart does not cost every key a call. Belongs to the event
loop; only the writing is done by another thread.
"""

import logging
from collections import OrderedDict
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import orjson
from pydantic import TypeAdapter

from cache.files import write_whole
from cache.stores.base import Clock
from gateway.question import Reply, Unstored
from gateway.tenants import Caller, Claim

log = logging.getLogger("lookalike")

ACCEPTED_FILE: Final = "accepted.json"
REFUSALS: Final = frozenset((401, 403))

# No answer to keep, and yet nothing that a key is given which the upstream does not accept.
_ANSWERS = frozenset((Unstored.TRUNCATED, Unstored.TOOL_CALLS, Unstored.REFUSED, Unstored.SERVER_TOOLS_RAN))
_MOST = 50_000  # some 5 MB on disk
_EACH_MOST = 100  # of one credential: models, accounts, deployments
_REFUSED_MOST = 10_000
_WRITE_EVERY_S = 30.0
# In the last tenth of its time a key's word is renewed by one request at a time, while all others are served: else
# every request of a busy key would go to the upstream in the moment that the time is over.
_LAST_PART = 0.1
_RENEW_EVERY_S = 30.0

_Times = OrderedDict[str, OrderedDict[str, float]]  # credential -> place -> Unix time, the latest last
_FILE = TypeAdapter(dict[str, dict[str, float]])


class Acceptances:
    """`file` None: in memory only. What is older than `longest_s` is of no use to anyone."""

    def __init__(self, file: Path | None, clock: Clock, longest_s: float) -> None:
        self._file = file
        self._clock = clock
        self._longest_s = longest_s
        self._at: _Times = _read(file) if file else OrderedDict()
        self._count = sum(map(len, self._at.values()))
        self._refused: OrderedDict[str, float] = OrderedDict()
        self._renewed: dict[tuple[str, str], float] = {}  # when one was last sent to the upstream for that alone
        self._changed = False
        self._urgent = anyio.Event()

    def accepted(self, claim: Claim | None) -> bool:
        """Whether the upstream accepted this credential for this place lately."""
        return claim is None or self._left_s(claim) > 0

    def vouched(self, claim: Claim | None, ahead: bool = True) -> bool:
        """The same for a request that there is an answer for: with `ahead`, now and then one that could be answered
        goes to the upstream all the same, before the time is over."""
        if claim is None:
            return True
        left_s = self._left_s(claim)
        if left_s <= 0 or not ahead or left_s > claim.trust_s * _LAST_PART:
            return left_s > 0
        now_s, key = self._clock(), (claim.credential, claim.place)
        if now_s - self._renewed.get(key, 0.0) < min(_RENEW_EVERY_S, claim.trust_s * _LAST_PART):
            return True
        if len(self._renewed) >= _REFUSED_MOST:
            self._renewed.clear()
        self._renewed[key] = now_s
        return False

    def heard(self, claim: Claim | None, reply: Reply | Unstored, answered_s: float) -> None:
        """An upstream's reply to this credential, which began to come at `answered_s` (Unix time)."""
        if claim is None or not (isinstance(reply, Reply) or reply in _ANSWERS):
            return
        if answered_s <= self._refused.get(claim.credential, 0.0):
            return  # what came before the refusal proves nothing after it
        places = self._at.setdefault(claim.credential, OrderedDict())
        self._count += claim.place not in places
        places[claim.place] = answered_s
        places.move_to_end(claim.place)
        self._at.move_to_end(claim.credential)
        self._renewed.pop((claim.credential, claim.place), None)
        if len(places) > _EACH_MOST:
            places.popitem(last=False)
            self._count -= 1
        while self._count > _MOST:
            self._count -= len(self._at.popitem(last=False)[1])
        self._changed = True

    def refused(self, caller: Caller) -> None:
        """The upstream refused this caller's credential: whatever it accepted of it before is forgotten."""
        credential = caller.credential
        self._refused[credential] = self._clock()
        self._refused.move_to_end(credential)
        if len(self._refused) > _REFUSED_MOST:
            self._refused.popitem(last=False)
        if (places := self._at.pop(credential, None)) is not None:
            self._count -= len(places)
            self._changed = True
            self._urgent.set()

    async def run(self) -> None:
        """Write what changed: a refusal at once, the rest now and then."""
        while True:
            with anyio.move_on_after(_WRITE_EVERY_S):
                await self._urgent.wait()
            self._urgent = anyio.Event()
            with anyio.CancelScope(shield=True):  # what is taken to be written is written
                await anyio.to_thread.run_sync(self._write, self._changes())

    def close(self) -> None:
        """Blocking: write the rest."""
        self._write(self._changes())

    def _changes(self) -> bytes | None:
        """The file anew, if it is to be written."""
        if self._file is None or not self._changed:
            return None
        self._changed = False
        self._forget_old()
        return orjson.dumps(self._at)

    def _write(self, data: bytes | None) -> None:
        if self._file is None or data is None:
            return
        try:
            write_whole(self._file, data)
        except OSError as error:  # all that is lost by it is a call for each key after a restart
            self._changed = True
            log.warning("which keys the upstream accepted could not be written: %s", error)

    def _left_s(self, claim: Claim) -> float:
        """Seconds for which the upstream's word still counts; none for a time that has yet to come."""
        places = self._at.get(claim.credential)
        age_s = self._clock() - places[claim.place] if places is not None and claim.place in places else -1.0
        return claim.trust_s - age_s if age_s >= 0 else 0.0

    def _forget_old(self) -> None:
        oldest_s = self._clock() - self._longest_s
        for credential, places in list(self._at.items()):
            for place in [place for place, at_s in places.items() if at_s <= oldest_s]:
                del places[place]
                self._count -= 1
            if not places:
                del self._at[credential]


def _read(file: Path) -> _Times:
    """A file that is missing or damaged costs every key a call."""
    try:
        found = _FILE.validate_json(file.read_bytes())
    except FileNotFoundError:
        found = {}
    except (OSError, ValueError):
        log.warning("%s cannot be read: every key is asked of the upstream again", file)
        found = {}
    return OrderedDict((who, OrderedDict(places)) for who, places in found.items())
