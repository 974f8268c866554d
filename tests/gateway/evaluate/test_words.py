"""Every reason that a picture can be refused for has a sentence."""

from cache.verdict import Doubt
from gateway.evaluate.words import SENTENCES, sentence
from gateway.question import Bypass


def test_every_doubt_has_a_sentence_of_its_own():
    assert set(Doubt) <= set(SENTENCES)
    assert len(set(SENTENCES.values())) == len(SENTENCES)


def test_a_reason_without_a_sentence_is_at_least_readable():
    assert sentence(Bypass.UNKNOWN_PART) == "unknown part"
