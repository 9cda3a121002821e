"""Settings of windows, pictures and sound, and of the processes that decode them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from stream.config.values import Section


class ModelSettings(Section):
    """Which versions of the model mmci score windows, beside the one that `sentistream models promote` has put in force."""

    shadow_version: str | None = Field(
        None,
        pattern=r"^[1-9][0-9]{0,8}$",
        description="Version of mmci that scores a share of the windows, too. Only metrics see its answers. `sentistream models load` lets "
        "Triton serve it.",
    )
    shadow_share: float = Field(
        0.1, ge=0, le=1, description="Share of the windows that models.shadow_version scores; each of them costs one more inference."
    )


class WindowSettings(Section):
    """How media time is divided into windows. All times are in milliseconds."""

    kind: Literal["hopping", "utterance"] = Field(
        "hopping", description="hopping: windows of equal length at equal distances. utterance: one window for each utterance of a track."
    )
    length_ms: int = Field(
        4000,
        ge=500,
        le=10_000,
        multiple_of=100,
        description="Length of one hopping window (ms). Longer: more evidence for a score. Shorter: results sooner.",
    )
    hop_ms: int = Field(
        2000,
        ge=100,
        le=10_000,
        multiple_of=100,
        description="Time from the start of one hopping window to the start of the next (ms). Equal to windows.length_ms: no overlap.",
    )
    utterance_max_ms: int = Field(
        10_000,
        ge=1000,
        le=10_000,
        multiple_of=100,
        description="Longest utterance window (ms). An utterance that is longer continues in the next window.",
    )
    utterance_pause_ms: int = Field(
        600,
        ge=200,
        le=3000,
        description="A pause of this length (ms) ends an utterance. Shorter: results sooner, but one sentence may become two windows.",
    )
    allowed_lateness_ms: int = Field(
        500,
        ge=0,
        le=60_000,
        description="Media time (ms) that a window stays open after its end for chunks that come late. A chunk that comes after all its "
        "windows have closed goes to the topic chunks.late. Higher: fewer late chunks. Lower: results sooner.",
    )
    idle_after_ms: int = Field(
        1500,
        ge=100,
        le=600_000,
        description="Windows no longer wait for a modality that has sent nothing for this time (ms). Keep it above the length of a chunk "
        "plus the longest usual gap; too low, and windows close without a modality that is only slow.",
    )
    end_grace_ms: int = Field(
        3000,
        ge=0,
        le=600_000,
        description="Time (ms) to wait for chunks that a session's end record has counted but that are not here yet. After it the "
        "session's windows close without them. An epoch waits as long for its last chunks after a newer one has begun.",
    )
    expire_after_ms: int = Field(
        600_000,
        ge=1000,
        le=7 * 24 * 3600 * 1000,
        description="A session without any record for this time (ms) is closed as if it had ended. Raise it if sessions may pause longer.",
    )
    max_ahead_ms: int = Field(
        60_000,
        ge=1000,
        le=24 * 3600 * 1000,
        description="How far (ms) a chunk's media time may run ahead of its capture time. A chunk beyond it goes to the dead-letter topic "
        "with the reason `future`: it would close windows that are still being filled.",
    )
    max_back_ms: int = Field(
        10_000,
        ge=1000,
        le=24 * 3600 * 1000,
        description="How far (ms) media time may go back while capture time goes on. Beyond it the media clock has started again and a new "
        "epoch begins. Keep it above the longest delay of a late chunk.",
    )
    max_skew_ms: int = Field(
        1000,
        ge=0,
        le=5000,
        description="Most (ms) that pictures are moved in time to match the sound. A larger skew is only reported. 0: never move them.",
    )
    partial_every_ms: int = Field(
        1000,
        ge=0,
        le=10_000,
        description="Media time (ms) between two partial results of an open window. Higher saves inferences. 0: final results only.",
    )

    @model_validator(mode="after")
    def _lengths(self) -> WindowSettings:
        if self.hop_ms > self.length_ms:
            raise ValueError("windows.hop_ms must not be longer than windows.length_ms: media between windows would be lost")
        if self.utterance_pause_ms >= self.utterance_max_ms:
            raise ValueError("windows.utterance_pause_ms must be shorter than windows.utterance_max_ms")
        return self


class VideoSettings(Section):
    """How pictures are analysed."""

    frames_per_second: int = Field(
        5, ge=1, le=5, description="Pictures of each second of video in which the worker looks for faces. Lower saves CPU time."
    )
    max_pixels: int = Field(
        8_300_000,
        ge=10_000,
        le=100_000_000,
        description="Most pixels of one picture; the default holds 4K. A larger picture goes to the dead-letter topic undecoded.",
    )


class AudioSettings(Section):
    """How sound is analysed."""

    silence_dbfs: float = Field(
        -55.0,
        ge=-90,
        le=-10,
        description="Level (dB below full scale) under which a segment of 100 ms counts as silence. Raise it for noisy microphones.",
    )


class SandboxSettings(Section):
    """The child processes that decode untrusted media."""

    processes: int = Field(
        0,
        ge=0,
        le=16,
        description="Decoder processes of one worker. 0 = one for each CPU core that the worker may use, 4 at most. Each takes about "
        "90 MB of memory.",
    )
    memory_mb: int = Field(
        1024,
        ge=256,
        le=16_384,
        description="Most memory (MB of address space) of one decoder process. A chunk that needs more goes to the dead-letter topic.",
    )
    timeout_s: float = Field(
        10.0,
        gt=0,
        le=120,
        description="Longest time (s) to decode one chunk. At the limit the decoder is restarted, and the chunk goes to the dead-letter "
        "topic.",
    )
