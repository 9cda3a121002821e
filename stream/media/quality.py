"""How much of a recording's picture is sent: pure."""

from __future__ import annotations

from enum import StrEnum

from stream.domain.media_format import VIDEO_PER_SECOND


class VideoQuality(StrEnum):
    """Size and rate of the pictures that are sent. Pictures are scaled down and left out, never enlarged and never added."""

    MODEL = "model"
    """What the model looks at: faces are searched for at 320 pixels, and five times a second."""
    SHARP = "sharp"
    """Larger pictures: a small face is cut out of them with more detail."""
    HIGH = "high"
    """Larger pictures and smooth motion, for other readers of the topic: workers look at no more than five pictures a second."""

    @property
    def longer_side(self) -> int:
        """Most pixels of a picture's longer side."""
        return _LONGER_SIDE[self]

    @property
    def frame_rate(self) -> int:
        """Most pictures a second."""
        return _FRAME_RATE[self]

    @property
    def rate_factor(self) -> int:
        """x264's constant rate factor. 28 instead of 23 saves two fifths of the bytes and moves scores by hundredths of a point."""
        return _RATE_FACTOR[self]


_LONGER_SIDE = {VideoQuality.MODEL: 320, VideoQuality.SHARP: 640, VideoQuality.HIGH: 640}
_FRAME_RATE = {VideoQuality.MODEL: VIDEO_PER_SECOND, VideoQuality.SHARP: VIDEO_PER_SECOND, VideoQuality.HIGH: 30}
_RATE_FACTOR = {VideoQuality.MODEL: 28, VideoQuality.SHARP: 23, VideoQuality.HIGH: 23}
