"""Every setting, its default and its meaning: one frozen tree, read from YAML and the environment.

Environment variables win over the file: ``SENTISTREAM_KAFKA__BOOTSTRAP=host:9092`` sets ``kafka.bootstrap``. Unknown keys are errors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

PROJECT_ROOT = Path(__file__).resolve().parent.parent.parent


def _no_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


Text = Annotated[str, AfterValidator(_no_blank)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class KafkaSettings(_Section):
    """The broker and our topics on it."""

    bootstrap: Text = Field("127.0.0.1:9092", description="HOST:PORT of one or more brokers, separated by commas.")
    group: Text = Field("sentistream", description="Consumer group of the workers.")
    partitions: int = Field(6, ge=1, le=1024, description="Partitions of topics that we create; all chunk topics must have the same.")
    replication: int = Field(1, ge=1, le=9, description="Replicas of topics that we create.")
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,64}$", description="Put before every topic name.")
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field("plaintext", description="How to connect.")
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field("SCRAM-SHA-256", description="With a sasl_* security.")
    username: str | None = Field(None, description="SASL user.")
    password: SecretStr | None = Field(None, description="SASL password.")
    ca_file: Path | None = Field(None, description="Certificate authority of the brokers (PEM).")
    session_timeout_s: float = Field(10.0, ge=1, le=300, description="A worker silent for so long is taken for dead.")
    fetch_max_wait_ms: int = Field(100, ge=1, le=5000, description="Longest wait of a fetch for new records.")
    fetch_min_bytes: int = Field(
        262_144, ge=1, le=4_194_304, description="A fetch waits for so much; more saves CPU time, 1 saves up to kafka.fetch_max_wait_ms."
    )
    linger_ms: int = Field(10, ge=0, le=1000, description="A result waits so long for others that go to the broker with it.")

    @model_validator(mode="after")
    def _credentials(self) -> KafkaSettings:
        if self.security.startswith("sasl") and (self.username is None or self.password is None):
            raise ValueError("kafka.username and kafka.password are needed when kafka.security is sasl_*")
        return self


class RedisSettings(_Section):
    """Where results can be read live."""

    url: SecretStr = Field(SecretStr("redis://127.0.0.1:6379/0"), description="redis:// or rediss:// address, with user and password.")
    result_ttl_s: int = Field(7 * 24 * 3600, ge=60, description="Results of a session live so long after its last window.")
    stream_length: int = Field(10_000, ge=10, description="Most finals kept for one track.")
    timeout_s: float = Field(5.0, gt=0, le=60, description="Longest wait for one answer.")


class TritonSettings(_Section):
    """The inference server."""

    url: Text = Field("127.0.0.1:8001", description="HOST:PORT of Triton's gRPC endpoint.")
    model_repository: Path = Field(PROJECT_ROOT / "triton_models", description="The model repository that is served.")
    timeout_s: float = Field(10.0, gt=0, le=120, description="Longest wait for one inference.")
    batch_delay_ms: float = Field(30.0, ge=0, le=1000, description="A closed window waits so long for others that go to the model with it.")
    text_model: str | None = Field(None, description="A hub name to build text_encoder from instead of the packaged MiniLM weights.")


class WindowSettings(_Section):
    """How media time is cut into windows."""

    kind: Literal["hopping", "utterance"] = Field(
        "hopping", description="hopping: of one length, one every hop; utterance: one for each utterance of a track."
    )
    length_ms: int = Field(4000, ge=500, le=10_000, multiple_of=100, description="Length of a hopping window.")
    hop_ms: int = Field(2000, ge=100, le=10_000, multiple_of=100, description="A hopping window starts every so often.")
    utterance_max_ms: int = Field(10_000, ge=1000, le=10_000, multiple_of=100, description="An utterance window is closed at this length.")
    utterance_pause_ms: int = Field(600, ge=200, le=3000, description="A pause of so long ends an utterance.")
    allowed_lateness_ms: int = Field(500, ge=0, le=60_000, description="A window waits so long (media time) for late chunks.")
    idle_after_ms: int = Field(
        1500, ge=100, le=600_000, description="A modality that sends nothing for so long no longer holds windows open."
    )
    end_grace_ms: int = Field(3000, ge=0, le=600_000, description="After a session's end, wait so long for chunks that it counted.")
    expire_after_ms: int = Field(600_000, ge=1000, description="A session without any record for so long is closed.")
    max_ahead_ms: int = Field(
        60_000, ge=1000, description="A chunk whose media time runs so far ahead of its capture time is refused as `future`."
    )
    max_back_ms: int = Field(
        10_000, ge=1000, description="A chunk captured later but whose media time lies so far back begins a new epoch."
    )
    max_skew_ms: int = Field(1000, ge=0, le=5000, description="Pictures are moved in time to fit the sound, by so much at most; 0 = never.")
    partial_every_ms: int = Field(1000, ge=0, le=10_000, description="Score an open window every so often (media time); 0 = never.")

    @model_validator(mode="after")
    def _lengths(self) -> WindowSettings:
        if self.hop_ms > self.length_ms:
            raise ValueError("windows.hop_ms must not be longer than windows.length_ms: media between windows would be lost")
        if self.utterance_pause_ms >= self.utterance_max_ms:
            raise ValueError("windows.utterance_pause_ms must be shorter than windows.utterance_max_ms")
        return self


class VideoSettings(_Section):
    """How pictures are looked at."""

    frames_per_second: int = Field(5, ge=1, le=5, description="Frames a second in which a face is looked for.")
    max_pixels: int = Field(8_300_000, ge=10_000, description="Larger pictures are refused.")


class AudioSettings(_Section):
    """How sound is judged."""

    silence_dbfs: float = Field(-55.0, ge=-90, le=-10, description="Quieter 100 ms segments count as silence.")


class SandboxSettings(_Section):
    """The child processes that decode untrusted media."""

    processes: int = Field(1, ge=1, le=16, description="Decoder processes of a worker.")
    memory_mb: int = Field(1024, ge=256, le=16_384, description="Most memory of one.")
    timeout_s: float = Field(10.0, gt=0, le=120, description="Longest time for one chunk.")


class LimitSettings(_Section):
    """Bounds that keep a worker's memory finite."""

    sessions: int = Field(1000, ge=1, description="Most open sessions of a worker.")
    chunks_in_flight: int = Field(64, ge=1, le=4096, description="Chunks being decoded or encoded at once.")
    chunks_held: int = Field(20_000, ge=100, description="Encoded chunks held for open windows, over all sessions.")
    chunks_held_per_session: int = Field(5000, ge=10, description="Encoded chunks held for the open windows of one session.")
    windows_in_flight: int = Field(128, ge=1, le=1024, description="Windows being scored or published at once.")
    drain_s: float = Field(10.0, ge=0, le=300, description="A worker told to stop publishes closed windows for at most so long.")


class HealthSettings(_Section):
    """Where a worker tells how it is: /live and /ready over HTTP."""

    host: Text = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(0, ge=0, le=65_535, description="Port to listen on; 0 = off.")


class Settings(_Section):
    """The whole tree."""

    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    triton: TritonSettings = TritonSettings()
    windows: WindowSettings = WindowSettings()
    video: VideoSettings = VideoSettings()
    audio: AudioSettings = AudioSettings()
    sandbox: SandboxSettings = SandboxSettings()
    limits: LimitSettings = LimitSettings()
    health: HealthSettings = HealthSettings()
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least serious event that is logged.")
    log_format: Literal["text", "json"] = Field("text", description="How log lines look.")
