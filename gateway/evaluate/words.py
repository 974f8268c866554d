"""Reasons as sentences, for people who look at one picture at a time. docs/reasons.md has the whole list."""

from typing import Final

from cache.verdict import Doubt
from gateway.question import Bypass

Reason = Doubt | Bypass

SENTENCES: Final[dict[Reason, str]] = {
    Doubt.FIRST_ASKED: "nothing was stored for this question",
    Doubt.NEW_PICTURE: "no stored picture is near enough in the embedding, so none was compared",
    Doubt.RUNG_FORBIDDEN: "the mode in force ends below the rung that might have hit",
    Doubt.NO_PLAIN_VIEW: "a picture such as 16-bit, which servers render differently: it hits by bytes or pixels only",
    Doubt.EMBEDDER_NOT_READY: "the embedder is not there, so nothing could be nominated",
    Doubt.STALE: "stored, but too old for this request",
    Doubt.KEY_UNVERIFIED: "the upstream has not accepted this key lately",
    Doubt.NO_USAGE: "stored without the token counts that this client needs",
    Doubt.UNREADABLE: "the stored answer cannot be read by this version",
    Doubt.EMBEDDER_BUSY: "the embedder did not answer in time",
    Doubt.LARGER: "the asked picture holds more detail than the stored one, and the model may read more in it",
    Doubt.GEOMETRY: "no scale and shift lays one picture on the other",
    Doubt.CONTENT_ADDED: "the asked picture shows something beyond the stored one's edge",
    Doubt.CONTENT_LOST: "the stored picture showed something beyond the asked one's edge",
    Doubt.RESOLUTION: "too far apart in size or sharpness to be compared",
    Doubt.TONE: "brightness or colour differ by more than an honest edit",
    Doubt.NOISE: "too noisy to tell a change from the noise",
    Doubt.SMALL_TEXT: "there is text too small for a changed stroke to be seen",
    Doubt.LOCAL_CHANGE: "one place differs by more than re-encoding explains",
    Doubt.COLOUR_CHANGE: "one place differs in colour by more than re-encoding explains",
    Doubt.JUDGED_WRONG: "a person said that these are two pictures",
    Doubt.GUARD_LIMIT: "one picture to the guard, but it differs by more than the limit in force allows",
    Bypass.PICTURE_UNREADABLE: "not a picture that can be read here (PNG, JPEG, WebP, GIF, BMP, TIFF and AVIF can)",
    Bypass.PICTURE_TOO_LARGE: "more pixels than the setting `pixels_max` lets the gateway decode",
    Bypass.PICTURE_ANIMATED: "more than one frame: animated pictures are forwarded, never cached",
}


def sentence(reason: Reason) -> str:
    return SENTENCES.get(reason, reason.value.replace("-", " "))
