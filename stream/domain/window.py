"""A window: the words, sound and picture of one track in one span of media time."""

from __future__ import annotations

from functools import cached_property
from operator import attrgetter

import msgspec
import numpy as np
import numpy.typing as npt

from stream.domain.clock_skew import ClockSkews
from stream.domain.context import ContextWindow
from stream.domain.features import LEAST_VOICE_MS, AudioFeatures, Floats, TextFeatures, VideoFeatures, Word
from stream.domain.identity import TrackKey
from stream.domain.modality import MODALITIES, Modality
from stream.domain.withheld import Reason

_BY_TIME = attrgetter("start_ms", "end_ms")


class Window(msgspec.Struct, frozen=True, dict=True):
    """Half-open span [start_ms, end_ms) of a track with the features of every chunk that touches it.

    Attributes:
        track: The track that the window belongs to.
        role: The track's role.
        epoch: Epoch of the session's media clock.
        start_ms: First media millisecond.
        end_ms: Media millisecond after the last.
        media_end_ms: `end_ms`, or the session's end where that comes first.
        revision: 0, 1, 2… while the window is open; the final window has the highest.
        is_final: True for a closed window; False for an open window, which gives a partial result.
        text: Text chunks that touch the window, in order of media time.
        audio: Audio chunks, likewise.
        video: Video chunks, likewise, their times corrected by `clock_skews`.
        media_end_at_ms: Wall clock (Unix ms) at which `media_end_ms` was captured; None if no chunk touches the window.
        clock_skews: Clock skews of modalities against the audio.
        warnings: Codes of peculiarities of the window's input, for example `WarningCode.SHED`.
        context: Finished windows of the session that the model sees beside it, newest first.
        earlier: Finished windows of its own track that overlap neither each other nor this one, newest first: from them the voice of its
            speaker and the beginning of its first sentence are known.
        modalities_expected: Modalities that the session's plan names for the track, or of which a usable chunk touches this window or an
            earlier final window of the track in this epoch. Those that are withheld are left out.
        withheld: Modalities that may not be used in the window, with the reason. It holds nothing of them.
    """

    track: TrackKey
    role: str
    epoch: int
    start_ms: int
    end_ms: int
    media_end_ms: int
    revision: int
    is_final: bool
    text: tuple[TextFeatures, ...] = ()
    audio: tuple[AudioFeatures, ...] = ()
    video: tuple[VideoFeatures, ...] = ()
    media_end_at_ms: int | None = None
    clock_skews: ClockSkews = {}
    warnings: tuple[str, ...] = ()
    context: tuple[ContextWindow, ...] = ()
    earlier: tuple[ContextWindow, ...] = ()
    modalities_expected: tuple[Modality, ...] = ()
    withheld: dict[Modality, Reason] = {}

    def with_context(self, context: tuple[ContextWindow, ...], earlier: tuple[ContextWindow, ...]) -> Window:
        """The same window with its context and the earlier windows of its track."""
        return msgspec.structs.replace(self, context=context, earlier=earlier)

    @property
    def id(self) -> str:
        """``tenant/session/track/EPOCH-END``: the same for every revision and every replay."""
        return f"{self.track}/{self.epoch}-{self.end_ms}"

    def inside(self, spans_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """(n,) bool for (n, 2) spans: True where the middle of a span lies in the window, so that adjacent windows never share an item."""
        middles = spans_ms[:, 0] + spans_ms[:, 1]
        inside: npt.NDArray[np.bool_] = (middles >= 2 * self.start_ms) & (middles < 2 * self.end_ms)
        return inside

    def words(self) -> tuple[Word, ...]:
        """The words that end in the window, in order of time. A word counts where it ends: only then is it known."""
        return self._words

    @cached_property
    def _words(self) -> tuple[Word, ...]:
        inside = [w for chunk in self.text for w in chunk.words if self.start_ms < w.end_ms <= self.end_ms]
        return tuple(sorted(inside, key=_BY_TIME))

    def word_states(self) -> Floats | None:
        """(n, 384) float32 of `words`, in their order; None if a chunk with words has no states."""
        return self._word_states

    @cached_property
    def _word_states(self) -> Floats | None:
        chunks = [chunk for chunk in self.text if chunk.words]
        states = [chunk.states for chunk in chunks if chunk.states is not None]
        if not self._words or len(states) < len(chunks):
            return None
        words = [word for chunk in chunks for word in chunk.words]
        rows = [row for row, word in enumerate(words) if self.start_ms < word.end_ms <= self.end_ms]
        return np.concatenate(states)[sorted(rows, key=lambda row: _BY_TIME(words[row]))]

    def present(self) -> tuple[Modality, ...]:
        """Modalities with something in them: a word, audio that is not silence, a detected face.

        Beside a word or a face any sound counts. Without both, sound counts only if it holds a voice: noise and music say nothing.
        """
        return self._present

    @cached_property
    def _present(self) -> tuple[Modality, ...]:
        has_words = bool(self.words())
        has_face = any(self.inside(chunk.spans_ms).any() for chunk in self.video)
        has_content = {
            Modality.TEXT: has_words,
            Modality.AUDIO: self._is_audible() if has_words or has_face else self.has_voice(),
            Modality.VIDEO: has_face,
        }
        return tuple(m for m in MODALITIES if has_content[m])

    def _is_audible(self) -> bool:
        return any(self.inside(chunk.spans_ms[chunk.audible]).any() for chunk in self.audio)

    def has_voice(self) -> bool:
        """Whether confirmed voice lasts `LEAST_VOICE_MS` in all, or a tenth of a short window. What was not looked for counts as found.

        Short windows are utterances: they have enough voice already, and a short word is confirmed in part only.
        """
        return self.voice_ms() >= min(LEAST_VOICE_MS, (self.end_ms - self.start_ms) / 10)

    def voice_ms(self) -> int:
        """How long the confirmed voice in the window lasts. What was not looked for counts as found."""
        return self._voice_ms

    @cached_property
    def _voice_ms(self) -> int:
        if not self.audio:
            return 0
        spans = np.concatenate([chunk.spans_ms for chunk in self.audio])
        voice = np.concatenate([chunk.voice for chunk in self.audio])
        return int((spans[:, 1] - spans[:, 0])[voice & self.inside(spans)].sum())

    @property
    def faces_max(self) -> int:
        """Most faces in one frame of the window's video chunks."""
        return max((chunk.faces_max for chunk in self.video), default=0)
