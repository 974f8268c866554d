"""Why a picture was not fetched: a reason for the caller, and words for the operator.

The words name a host at most: the rest of a URL may be a credential.
"""

from gateway.question import Bypass, NotCacheable


class NotFetched(NotCacheable):
    def __init__(self, why: Bypass, words: str) -> None:
        super().__init__(why)
        self.words = words

    def __str__(self) -> str:
        return self.words


class Refused(NotFetched):
    """Nothing was asked of the host: the rules forbid it."""

    def __init__(self, words: str) -> None:
        super().__init__(Bypass.PICTURE_FETCH_REFUSED, words)


class Failed(NotFetched):
    """The host was asked, or would have been, and gave no whole picture in time."""

    def __init__(self, words: str) -> None:
        super().__init__(Bypass.PICTURE_FETCH_FAILED, words)
