"""What a session's records say about the consent of its people."""

from __future__ import annotations

from typing import NamedTuple

EVERYBODY = "*"
"""In the place of a track: all tracks of the session. No track has this name."""


class ConsentStatement(NamedTuple):
    """A consent or a withdrawal.

    Attributes:
        track: Whose it is; `EVERYBODY` for all tracks.
        media_ms: Media time from which it holds, as it was sent.
        granted: True for a consent, False for a withdrawal.
        from_ms: Media time from which it holds. Of a consent that came late it is later than `media_ms`: what was left out before stays
            left out, on every worker.
    """

    track: str
    media_ms: int
    granted: bool
    from_ms: int
