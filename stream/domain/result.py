"""The published records: scores, explanations, alerts and session summaries, as JSON objects of fixed shape."""

from __future__ import annotations

import msgspec

from stream.domain.alert import AlertRecord
from stream.domain.clock_skew import ClockSkews
from stream.domain.conversation import Conversation
from stream.domain.epoch import EpochAssignment
from stream.domain.evidence import SpanEvidence, WordClaim, WordEvidence
from stream.domain.modality import Modality


class ModelVersion(msgspec.Struct, frozen=True):
    """The weights that gave a score."""

    name: str
    version: str
    digest: str
    """First 12 hexadecimal digits of the SHA-256 of the ONNX file."""


class ScoreRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="score"):
    """Sentiment of one final window. A window without a word, a voice or a face has none: its numbers are None, its mappings empty.

    Attributes:
        window_id: ``tenant/session/track/EPOCH-END``.
        score: In [-3, 3].
        label: ``negative``, ``neutral`` or ``positive``.
        confidence: Calibrated probability of `label`.
        probabilities: Calibrated probability of each label.
        arousal: How excited the voice sounds, in [0, 1], whether pleasantly or not. None if the window has no voice (`Window.has_voice`),
            and in records of earlier releases.
        modalities_present: Modalities with a word, sound or face in the window, see `Window.present`.
        modalities_expected: Modalities that the track has announced or sent so far, see `Window.modalities_expected`. One that is expected
            but not present is missing. Empty in records of version 0.1. Those that are withheld are left out.
        withheld: Modalities that may not be used in this window, whether or not they were sent, with the reason: ``policy`` (the role),
            ``consent``, ``language`` or ``overload`` (`stream.domain.withheld.Reason`). Empty if everything may be used.
        shares: Share of each present modality in the score's movement; they add up to 1.
        faces: Most faces seen at the same time.
        warnings: Codes, for example ``several_faces``.
        media_end_at_ms: Wall clock (Unix ms) at which the window's last media was captured, if known.
        allowed_lateness_ms: How long windows stay open for late chunks, which latency figures exclude.
        sync: Clock skews of modalities against the audio, as estimated when the window closed.
        conversation: The other tracks of the session just before the window; None if the window's context has none.
        run: The epoch's assignment, if workers gave the epoch its number; None if its producer declares it.
    """

    tenant: str
    session: str
    track: str
    role: str
    window_id: str
    epoch: int
    start_ms: int
    end_ms: int
    is_final: bool
    revision: int
    score: float | None
    label: str | None
    confidence: float | None
    probabilities: dict[str, float]
    arousal: float | None = None
    modalities_present: tuple[Modality, ...]
    modalities_expected: tuple[Modality, ...] = ()
    withheld: dict[Modality, str] = {}
    shares: dict[Modality, float]
    faces: int
    warnings: tuple[str, ...]
    media_end_at_ms: int | None
    allowed_lateness_ms: int
    model: ModelVersion
    sync: ClockSkews = msgspec.field(default_factory=dict)
    conversation: Conversation | None = None
    run: EpochAssignment | None = None


class PartialRecord(ScoreRecord, frozen=True, kw_only=True, tag_field="event", tag="partial"):
    """Sentiment of a window that is still open; a later revision or the final result replaces it."""


class FaceMap(msgspec.Struct, frozen=True):
    """Where in one face frame the relevance lies: region and time only, never a picture.

    Attributes:
        start_ms: Start of the frame, as in `ExplanationRecord.video_frames`.
        cells: Signed relevance of the 6 by 6 cells of the face crop, row by row from the top left, in ten-thousandths of a score
            point: they add up to the relevance of the frame.
    """

    start_ms: int
    cells: tuple[int, ...]


class AttentionShare(msgspec.Struct, frozen=True):
    """Where the two attentions of the model put the evidence, weighted by its size; they add up to 1.

    The names are those of the network's two streams. They promise nothing: measured, the share does not tell errors from right answers, and
    not whether a window leans on a shortcut.
    """

    causal: float
    shortcut: float


class Change(msgspec.Struct, frozen=True):
    """How the score moved between an earlier final window of the same track and epoch, and this one.

    Attributes:
        from_ms: End of the earlier window.
        score: Score of this window minus that of the earlier one.
        contributions: The same difference of the contribution of each modality; with `earlier_windows` they add up to `score`.
        earlier_windows: The same difference of `ExplanationRecord.earlier_windows`.
    """

    from_ms: int
    score: float
    contributions: dict[Modality, float]
    earlier_windows: float


class Changes(msgspec.Struct, frozen=True):
    """The change since the track's previous window with a score, and since the first one of the epoch; None where there is none."""

    since_previous: Change | None = None
    since_start: Change | None = None


class ExplanationRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="explanation"):
    """Why a final window got its score. For a window without a score the numbers are None, and nothing is listed.

    All text is redacted, see `stream.explain.redaction`. Fields with a default are absent in records of earlier releases.

    Attributes:
        base_score: Score of the model without any modality and without earlier windows.
        contributions: Exact Shapley value of each modality in score points; with `base_score` and `earlier_windows` they add up to the
            score.
        earlier_windows: Shapley value of the context (finished windows of the session before this one); 0 if there was none.
        score_without: By present modality, the score without it.
        label_without: By present modality, the label without it.
        score_without_earlier: The score without the context; None if there was none.
        label_without_earlier: The label without the context; None if there was none.
        words: Strongest words. They need not be those of `claims`: a word's own part is not what its removal would change.
        audio_spans: Strongest spans of sound.
        video_frames: Strongest face frames.
        rest: By present modality, its contribution minus what is listed above: what is listed and the rest add up to the contribution.
        claims: Phrases whose effect was measured, strongest first. Only they are quoted in `sentence`.
        counterfactual: The smallest set of phrases found whose removal changes the label. None if none was found or it was not looked
            for: only a share of the windows is examined.
        change: How the score moved since the track's windows before.
        face_maps: For frames of `video_frames`, where in the face the relevance lies.
        attention_share: For experts. None in a window without a score.
        sentence: The written summary, made of the fields of this record and of the score.
    """

    tenant: str
    session: str
    track: str
    role: str
    window_id: str
    epoch: int
    start_ms: int
    end_ms: int
    base_score: float | None
    contributions: dict[Modality, float]
    earlier_windows: float = 0.0
    score_without: dict[Modality, float]
    label_without: dict[Modality, str] = {}
    score_without_earlier: float | None = None
    label_without_earlier: str | None = None
    words: tuple[WordEvidence, ...]
    audio_spans: tuple[SpanEvidence, ...]
    video_frames: tuple[SpanEvidence, ...]
    rest: dict[Modality, float] = {}
    claims: tuple[WordClaim, ...] = ()
    counterfactual: tuple[str, ...] | None = None
    change: Changes = Changes()
    face_maps: tuple[FaceMap, ...] = ()
    attention_share: AttentionShare | None = None
    sentence: str


class Moment(msgspec.Struct, frozen=True):
    """A window that stands out in its session."""

    window_id: str
    track: str
    start_ms: int
    end_ms: int
    score: float


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="session"):
    """Summary of one epoch of a session, written when its last window is final.

    Attributes:
        windows: Number of final windows of all tracks.
        mean: Mean score; None if no window has a score.
        mean_arousal: Mean arousal of the windows with a voice; None if there is none, and in records of earlier releases.
        trend: Mean score of the last third of the windows minus that of the first third; None for fewer than three windows.
        best: Window with the highest score.
        worst: Window with the lowest score.
        role_shares: Share of each role in the windows with words or sound: who did the talking.
        windows_by_modality: Number of windows with each modality.
        windows_shed: Windows that were closed early because too many chunks were held.
        windows_empty: Windows without a word, a voice or a face. They have no score, and mean, trend, shares and modalities leave them out.
    """

    tenant: str
    session: str
    epoch: int
    windows: int
    mean: float | None
    mean_arousal: float | None = None
    trend: float | None
    best: Moment | None
    worst: Moment | None
    role_shares: dict[str, float]
    windows_by_modality: dict[Modality, int]
    windows_shed: int = 0
    windows_empty: int = 0


Record = ScoreRecord | PartialRecord | ExplanationRecord | SessionRecord | AlertRecord

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def encode_record(record: Record) -> bytes:
    """JSON of a record; the same record always gives the same bytes. NaN becomes null, so callers check first."""
    return _ENCODER.encode(record)


def decode_record(data: bytes | str) -> Record:
    """Inverse of `encode_record`. Raises ``msgspec.ValidationError`` or ``msgspec.DecodeError``."""
    return _DECODER.decode(data)
