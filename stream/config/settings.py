"""Every setting with its default and its meaning: one frozen tree, read from YAML and the environment.

Environment variables win over the file: ``SENTISTREAM_KAFKA__BOOTSTRAP=host:9092`` sets ``kafka.bootstrap``. Unknown keys are errors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from stream.config.addresses import check_host, is_ipv6, is_loopback, parse_address, parse_addresses
from stream.config.policy_values import DEFAULT_ROLES, Languages, NamedRoles, Roles, read_tenants
from stream.config.project import PROJECT_ROOT
from stream.config.redis_url import RedisAddress, parse_redis_url
from stream.domain.disclosure import Disclosure

LONGEST_TEXT = 1000
SHORTEST_SECRET = 32


def _plain(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"must not be longer than {LONGEST_TEXT} characters")
    if not text.isprintable():
        raise ValueError("must not hold line breaks or other control characters")
    return text


def _plain_path(path: Path) -> Path:
    _plain(str(path) if path.parts else "")
    return path


def _plain_secret(secret: SecretStr) -> SecretStr:
    _plain(secret.get_secret_value())
    return secret


def _address(text: str) -> str:
    parse_address(text)
    return text


def _addresses(text: str) -> str:
    parse_addresses(text)
    return text


def _host(text: str) -> str:
    if ":" in text and not is_ipv6(text):
        raise ValueError("must be a host alone; the port is a setting of its own")
    check_host(text)
    return text


def _redis_url(url: SecretStr) -> SecretStr:
    parse_redis_url(url.get_secret_value())
    return url


Text = Annotated[str, AfterValidator(_plain)]
Secret = Annotated[SecretStr, AfterValidator(_plain_secret)]
FilePath = Annotated[Path, AfterValidator(_plain_path)]
RedisUrl = Annotated[Secret, AfterValidator(_redis_url)]
Host = Annotated[Text, AfterValidator(_host)]
Address = Annotated[Text, AfterValidator(_address)]
Addresses = Annotated[Text, AfterValidator(_addresses)]


class _Section(BaseModel):
    # Errors do not quote the input: it may be a password.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, hide_input_in_errors=True)


class KafkaSettings(_Section):
    """The Kafka broker and the service's topics on it."""

    bootstrap: Addresses = Field("127.0.0.1:9092", description="HOST:PORT of one or more brokers, separated by commas.")
    group: Text = Field("sentistream", description="Consumer group of the workers. Workers of one group share the partitions.")
    partitions: int = Field(
        6,
        ge=1,
        le=1024,
        description="Partitions of each topic that the service creates; the most workers that can share the load. "
        "All chunk topics and the sessions topic must have the same number.",
    )
    replication: int = Field(
        1, ge=1, le=9, description="Replicas of each topic that the service creates. Raise it to 3 on a cluster of several brokers."
    )
    topic_prefix: str = Field(
        "", pattern=r"^[A-Za-z0-9._-]{0,64}$", description="Put before every topic name, so that several deployments can share a broker."
    )
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        "plaintext", description="Protocol of the connection: ssl encrypts it, sasl logs in."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-256", description="Login mechanism; used if kafka.security is sasl_*."
    )
    username: Text | None = Field(None, description="User to log in as; needed if kafka.security is sasl_*.")
    password: Secret | None = Field(None, description="The user's password; needed if kafka.security is sasl_*.")
    ca_file: FilePath | None = Field(
        None, description="PEM file of the certificate authority that signed the brokers' certificates; default: the system's authorities."
    )
    cert_file: FilePath | None = Field(
        None,
        description="PEM file of the certificate with which this process shows who it is, and of its chain; needed if the brokers ask for "
        "one (ssl.client.auth=required).",
    )
    key_file: FilePath | None = Field(None, description="PEM file of the key of kafka.cert_file; default: it is in kafka.cert_file.")
    key_password: Secret | None = Field(None, description="Password of the key, if it is encrypted.")
    check_hostname: bool = Field(
        True,
        description="Whether a broker's certificate must be for the host name that is used. False if brokers share a certificate for "
        "another name: then any certificate of the authority in kafka.ca_file will do.",
    )
    session_timeout_s: float = Field(
        10.0,
        ge=1,
        le=300,
        description="Kafka takes a worker for dead after this time (s) without a heartbeat and gives its partitions to others. "
        "Lower: a dead worker is replaced sooner. Raise it if slow machines lose their partitions.",
    )
    fetch_max_wait_ms: int = Field(
        100, ge=1, le=5000, description="Longest time (ms) that a fetch waits for kafka.fetch_min_bytes. Lower: results come sooner."
    )
    fetch_min_bytes: int = Field(
        262_144,
        ge=1,
        le=4_194_304,
        description="A fetch returns once this many bytes are there. High saves CPU time: at live pace every record would be a fetch of "
        "its own. 1 returns at once and saves up to kafka.fetch_max_wait_ms of latency.",
    )
    chunks_retention_hours: float = Field(
        48.0,
        ge=1,
        le=10 * 365 * 24,
        description="Time (h) for which the topics of chunks, sessions, late chunks and dead letters keep records: what people said and "
        "how they sounded and looked. It is set when the service creates them. Keep it above the longest outage of the workers.",
    )
    results_retention_days: float = Field(
        30.0,
        ge=1,
        le=10 * 365,
        description="Time (days) for which the topics of results keep records. It is set when the service creates them. A Redis that was "
        "lost can be refilled with results of this time.",
    )
    linger_ms: int = Field(
        10, ge=0, le=1000, description="Time (ms) that a result waits for others to share a request to the broker. 0 sends it at once."
    )

    @model_validator(mode="after")
    def _credentials(self) -> KafkaSettings:
        if self.security.startswith("sasl") and (self.username is None or self.password is None):
            raise ValueError("kafka.username and kafka.password are needed when kafka.security is sasl_*")
        return self

    @model_validator(mode="after")
    def _certificate(self) -> KafkaSettings:
        if self.cert_file is None and (self.key_file is not None or self.key_password is not None):
            raise ValueError("kafka.key_file and kafka.key_password need kafka.cert_file")
        if not self.check_hostname and self.ca_file is None:
            raise ValueError("kafka.check_hostname may be false only with kafka.ca_file: otherwise the system's authorities are trusted")
        return self


class RedisSettings(_Section):
    """The Redis from which results are read live."""

    url: RedisUrl = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="Address: redis://, rediss:// (with TLS), unix:// or redis+sentinel://; it may hold a user and a password, "
        "percent-encoded. A Redis Cluster is recognised by itself.",
    )
    result_ttl_s: int = Field(
        7 * 24 * 3600,
        ge=60,
        le=10 * 365 * 24 * 3600,
        description="Time (s) for which Redis keeps a session's results after its last window. Default: 7 days.",
    )
    stream_length: int = Field(
        10_000,
        ge=10,
        le=10_000_000,
        description="Most final results that Redis keeps for one track. At the limit the oldest are dropped; Kafka keeps them.",
    )
    confirm_replicas: int = Field(
        0,
        ge=0,
        le=10,
        description="Replicas that must have a final window before its chunks are acknowledged. 1: no window is lost when a replica takes "
        "over. 0: Redis alone confirms it.",
    )
    timeout_s: float = Field(
        5.0, gt=0, le=60, description="Longest time (s) to wait for one answer. After it a worker waits a little and asks again."
    )

    @property
    def address(self) -> RedisAddress:
        """The parts of the URL. Raises ``ValueError`` with a sentence without secrets, if the settings were built without a check."""
        return parse_redis_url(self.url.get_secret_value())


class TritonSettings(_Section):
    """The inference server."""

    url: Address = Field("127.0.0.1:8001", description="HOST:PORT of Triton's gRPC endpoint.")
    model_repository: FilePath = Field(
        PROJECT_ROOT / "triton_models", description="Folder of the models. The embedded Triton serves it; `sentistream models` fills it."
    )
    timeout_s: float = Field(
        10.0,
        gt=0,
        le=120,
        description="Longest time (s) to wait for one inference. After it a worker waits a little and asks again. "
        "Raise it if inferences on a slow machine take longer.",
    )
    batch_delay_ms: float = Field(
        120.0,
        ge=0,
        le=1000,
        description="Longest time (ms) that a window, its words, a second of sound or a face waits for others to share an inference of at "
        "most 16. The wait follows the load: where no other is expected within this time, nothing waits; where four are, all of it. Higher "
        "saves CPU time under load, lower gives results sooner.",
    )
    text_model: Text | None = Field(
        None, description="Hugging Face model to build text_encoder from; default: the packaged weights of MiniLM."
    )


class ModelSettings(_Section):
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


class WindowSettings(_Section):
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


class VideoSettings(_Section):
    """How pictures are analysed."""

    frames_per_second: int = Field(
        5, ge=1, le=5, description="Frames of each second of video in which the worker looks for a face. Lower saves CPU time."
    )
    max_pixels: int = Field(
        8_300_000,
        ge=10_000,
        le=100_000_000,
        description="Most pixels of one picture; the default holds 4K. A larger picture goes to the dead-letter topic undecoded.",
    )


class AudioSettings(_Section):
    """How sound is analysed."""

    silence_dbfs: float = Field(
        -55.0,
        ge=-90,
        le=-10,
        description="Level (dB below full scale) under which a segment of 100 ms counts as silence. Raise it for noisy microphones.",
    )


class SandboxSettings(_Section):
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


class OverloadSettings(_Section):
    """What a worker does when more media come than it can decode."""

    shed: Literal["none", "video", "media"] = Field(
        "none",
        description="What is not decoded when it has waited for longer than `after_ms`. none: nothing; results come later and later until "
        "the load falls. video: pictures. media: pictures, then sound. Words are always used. Windows say what was left out.",
    )
    after_ms: int = Field(
        5000,
        ge=1000,
        le=600_000,
        description="How long (ms) a record may wait before the worker counts as behind, and says so.",
    )


class LimitSettings(_Section):
    """Bounds that keep a worker's memory finite. Each description says what happens at the limit."""

    sessions: int = Field(
        1000,
        ge=1,
        le=1_000_000,
        description="Most open epochs of one worker, over all sessions: each epoch of a session that is still open counts. At the limit "
        "the records of a further epoch go to the dead-letter topic with the reason `too_many_sessions`.",
    )
    chunks_in_flight: int = Field(
        64,
        ge=1,
        le=4096,
        description="Most chunks that a worker decodes or encodes at once. At the limit it stops reading until one is done.",
    )
    chunks_held: int = Field(
        20_000,
        ge=100,
        le=10_000_000,
        description="Most encoded chunks that a worker holds for open windows, over all sessions. At the limit the oldest window of the "
        "epoch that holds the most closes early and carries the warning `shed`.",
    )
    chunks_held_per_session: int = Field(
        5000,
        ge=10,
        le=1_000_000,
        description="Most encoded chunks that one epoch of a session holds for open windows. At the limit its oldest window closes early "
        "and carries the warning `shed`.",
    )
    windows_in_flight: int = Field(
        128,
        ge=1,
        le=1024,
        description="Most windows that a worker scores or publishes at once. With more than four times as many unpublished windows it "
        "stops reading. With more than twice as many windows that wait for an earlier epoch, that epoch closes at once.",
    )
    drain_s: float = Field(
        10.0,
        ge=0,
        le=300,
        description="Longest time (s) in which a worker that is told to stop publishes closed windows. Windows that are left over lose "
        "nothing: another worker reads their chunks again. Whatever stops the worker should wait 15 s longer than this before it kills it.",
    )


class ExplanationSettings(_Section):
    """What is computed to explain a window, and what is kept of it."""

    words: bool = Field(
        True,
        description="Whether explanations say what phrases do to the score: phrases of final windows are removed, and the rest is scored "
        "again. False saves about an eighth of the work on raw recordings, and most of it where voice and face come encoded.",
    )
    candidates: int = Field(
        6,
        ge=1,
        le=32,
        description="Most phrases of a window that are removed for explanations.words: those with the largest estimated effect.",
    )
    verify_encoded: bool = Field(
        False,
        description="Whether explanations.words holds, too, for words that their producer has encoded. The worker then encodes them "
        "itself: this makes sense if the producer uses the text encoder of this release.",
    )
    truth_share: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Share of the windows with words in which every phrase is removed, to check what is said of phrases (/metrics) and to "
        "find the fewest phrases that the label hangs on.",
    )
    text: Disclosure = Field(
        Disclosure.REDACTED,
        description="What explanations show of words: `redacted` replaces names, numbers, addresses and spelled codes by what they are "
        "(`[name]`), `none` gives times and effects alone, `full` shows the words as they were said.",
    )
    face_maps: bool = Field(
        True,
        description="Whether explanations say which regions of a face moved the score. False saves 5 kB of memory for each face that a "
        "worker holds.",
    )
    store: FilePath | None = Field(
        None,
        description="SQLite file in which the workers of this machine keep the features and words of final windows, for `sentistream "
        "explain`. Off by default: it holds what people said, unredacted. If the disk is full or broken, windows are published without it.",
    )
    store_sound: bool = Field(
        False,
        description="Whether explanations.store keeps the sound, too, as spectra from which speech can be made audible again. "
        "`sentistream explain` then says which frequencies of the voice moved the score.",
    )
    retention_hours: float = Field(
        72.0,
        gt=0,
        le=10 * 365 * 24,
        description="Time (h) for which explanations.store keeps a window. Older ones are overwritten, when a worker starts and "
        "every hour.",
    )
    store_max_mb: int = Field(
        1000, ge=1, le=1_000_000, description="Size (MB) of explanations.store, at which the oldest windows are deleted."
    )


class RevealSettings(_Section):
    """Probes of the live stream: which nuisances move the scores."""

    share: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Share of the media time of tracks whose windows are scored again with hiss, hum, a blurred or dark picture, a filler "
        "word: windows that it moves get a warning. 0: no probes. Give all workers the same share, or replayed windows may differ.",
    )
    hours: int = Field(24, ge=1, le=24 * 30, description="Hours of probes that count, over all workers.")


class AlertSettings(_Section):
    """The rules that call a person."""

    rules: FilePath | None = Field(
        None,
        description="YAML file of alert rules, which every worker reads when it starts; all workers need the same. Default: no rules. "
        "`sentistream rules check FILE` finds mistakes in it.",
    )


class TenantPolicySettings(_Section):
    """What may be used of the people of one tenant; what is left out is as in the section policy."""

    roles: NamedRoles | None = None
    consent: Literal["assumed", "required"] | None = None
    without_consent: Literal["text_only", "nothing"] | None = None
    languages: Languages | None = None


def _tenants(given: object) -> object:
    return read_tenants(given, TenantPolicySettings)


class PolicySettings(_Section):
    """What may be used of whom: modalities by role, consent, language. `docs/policy.md` says why the defaults are as they are."""

    roles: Roles = Field(
        DEFAULT_ROLES,
        description="What may be used of each role: `all`, `text_only` (neither voice nor face) or `off` (nothing). `*` stands for all "
        "roles that are not named. The role agent stays text_only unless it is named: in the EU, emotions of people at work may not be "
        "inferred from voice or face.",
    )
    consent: Literal["assumed", "required"] = Field(
        "assumed",
        description="assumed: everybody has consented of whom the session's records do not say otherwise. required: nobody has of whom "
        "they do not say so.",
    )
    without_consent: Literal["text_only", "nothing"] = Field(
        "text_only", description="What is used of somebody who has not consented: their words alone, or nothing."
    )
    languages: Languages = Field(
        ("en",),
        description="Languages whose words are used, as codes of two or three letters, separated by commas. The packaged model knows "
        "English (en) alone: name others only with a model that was trained for them. `*`: all languages.",
    )
    tenants: Annotated[dict[str, TenantPolicySettings], BeforeValidator(_tenants)] = Field(
        {},
        description="Other values of policy.roles, consent, without_consent and languages for some tenants, below their names. In a "
        "variable: as JSON.",
    )


class HealthSettings(_Section):
    """The HTTP endpoints /live, /ready, /timings and /metrics of a worker."""

    host: Host = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(0, ge=0, le=65_535, description="Port to listen on. 0: no health endpoints.")


class TracingSettings(_Section):
    """Traces in OpenTelemetry (`pip install 'sentistream[otel]'`)."""

    exporter: Literal["none", "otlp"] = Field(
        "none", description="none: no traces, and no cost. otlp: spans go to tracing.endpoint over OTLP/HTTP."
    )
    endpoint: Text = Field(
        "http://127.0.0.1:4318/v1/traces",
        pattern=r"^https?://",
        description="URL of a collector's traces endpoint (OTLP/HTTP). If it is away, spans are dropped and nothing waits for it.",
    )
    share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of the windows that are traced, if their producer has not decided (header traceparent of a chunk). Each is a "
        "trace of five spans.",
    )


class GatewaySettings(_Section):
    """The live page and its API: `sentistream gateway`."""

    host: Host = Field(
        "127.0.0.1", description="Address to listen on. Any other than a loopback address needs gateway.access or gateway.oidc_issuer."
    )
    port: int = Field(8080, ge=0, le=65_535, description="Port to listen on. 0: any free port.")
    metrics_port: int = Field(
        0, ge=0, le=65_535, description="Port of /metrics, for Prometheus, on health.host; it asks nobody for a login. 0: no metrics."
    )
    access: FilePath | None = Field(
        None,
        description="YAML file with the hashes of tokens, and with further roles; `sentistream gateway token` makes its entries. It is "
        "read again when it changes. Without it and without gateway.oidc_issuer, everybody on this machine may do everything.",
    )
    oidc_issuer: Text | None = Field(
        None, description="Issuer (`iss`) of the bearer tokens of an identity provider (OpenID Connect). Set it to accept them."
    )
    oidc_audience: Text | None = Field(None, description="Audience (`aud`) that a token must name; needed with gateway.oidc_issuer.")
    oidc_jwks_file: FilePath | None = Field(
        None, description="File with the issuer's public keys (JWKS). It is read again when it changes."
    )
    oidc_jwks_url: Text | None = Field(
        None, pattern=r"^https?://", description="Address of the issuer's public keys (JWKS), if there is no gateway.oidc_jwks_file."
    )
    oidc_roles_claim: Text = Field(
        "roles",
        description="Claim that names the roles; a dot leads into an object: `realm_access.roles`. Unknown names count for nothing.",
    )
    oidc_tenants_claim: Text = Field("tenants", description="Claim that names the tenants; `*` in it means all. Without it: none.")
    secret: Secret | None = Field(
        None,
        description="Text of 32 characters or more that signs session cookies; the same for all gateways behind one address. Default: a "
        "new one at each start, so that a restart ends the sessions of browsers.",
    )
    session_hours: float = Field(12.0, gt=0, le=720, description="Time (h) after which a browser has to log in again.")
    trusted_origins: Text | None = Field(
        None,
        description="Further origins, separated by commas, whose pages may write with a session cookie: https://wall.example.com. Needed "
        "behind a proxy that changes the host name.",
    )
    uploads: bool = Field(False, description="Whether recordings can be sent from the page. `sentistream up` and `demo` switch it on.")
    quiet_after_s: float = Field(
        15.0, ge=1, le=3600, description="A session without a result for this time (s), which has not ended, is shown as quiet."
    )
    requests_per_minute: int = Field(
        1200, ge=10, le=1_000_000, description="Most requests of one user in a minute; above it, requests are refused with 429."
    )
    streams: int = Field(1000, ge=1, le=100_000, description="Most live streams (SSE) at once; above it, a new one is refused with 503.")
    streams_each: int = Field(
        250, ge=1, le=100_000, description="Most live streams of one token or user, so that one of them cannot take all; above it, 429."
    )
    sessions: int = Field(
        2000,
        ge=10,
        le=100_000,
        description="Most sessions in the list of the page. Of more, those without results for the longest time are left out.",
    )

    @model_validator(mode="after")
    def _complete(self) -> GatewaySettings:
        if self.secret is not None and len(self.secret.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"gateway.secret must have {SHORTEST_SECRET} characters or more")
        if self.oidc_issuer is not None:
            if self.oidc_audience is None:
                raise ValueError("with gateway.oidc_issuer, set gateway.oidc_audience")
            if (self.oidc_jwks_file is None) == (self.oidc_jwks_url is None):
                raise ValueError("with gateway.oidc_issuer, set one of gateway.oidc_jwks_file and gateway.oidc_jwks_url")
        keys = urlsplit(self.oidc_jwks_url or "")
        if keys.scheme == "http" and not is_loopback(keys.hostname or ""):
            raise ValueError("gateway.oidc_jwks_url must be https: whoever can change the keys can make tokens")
        if not is_loopback(self.host) and self.access is None and self.oidc_issuer is None:
            raise ValueError("gateway.host is reachable from other machines: set gateway.access or gateway.oidc_issuer")
        return self


class WebhookSettings(_Section):
    """Signed messages to other services about alerts, final windows and ended sessions. Gateways send them."""

    receivers: FilePath | None = Field(
        None, description="YAML file with the receivers, see docs/api.md. It is read again when it changes. Without it nothing is sent."
    )
    private_addresses: bool = Field(
        False,
        description="Whether a receiver may have an address of this machine or of a private network. False refuses them, so that nobody "
        "can make a gateway call services inside the network.",
    )
    timeout_s: float = Field(15.0, gt=0, le=120, description="Longest time (s) to wait for a receiver's answer.")
    retry_hours: float = Field(
        24.0, gt=0, le=168, description="Time (h) for which a message is tried again. After it, it becomes a dead letter."
    )


class Settings(_Section):
    """The whole tree."""

    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    triton: TritonSettings = TritonSettings()
    models: ModelSettings = ModelSettings()
    windows: WindowSettings = WindowSettings()
    video: VideoSettings = VideoSettings()
    audio: AudioSettings = AudioSettings()
    sandbox: SandboxSettings = SandboxSettings()
    limits: LimitSettings = LimitSettings()
    overload: OverloadSettings = OverloadSettings()
    explanations: ExplanationSettings = ExplanationSettings()
    reveal: RevealSettings = RevealSettings()
    alerts: AlertSettings = AlertSettings()
    webhooks: WebhookSettings = WebhookSettings()
    policy: PolicySettings = PolicySettings()
    health: HealthSettings = HealthSettings()
    tracing: TracingSettings = TracingSettings()
    gateway: GatewaySettings = GatewaySettings()
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least serious event that is logged.")
    log_format: Literal["text", "json"] = Field("text", description="text: lines for people. json: one JSON object a line.")
