"""Settings of the services that a worker needs: Kafka, Redis and Triton."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, model_validator

from stream.config.project import PROJECT_ROOT
from stream.config.redis_url import RedisAddress, parse_redis_url
from stream.config.values import Address, Addresses, FilePath, RedisUrl, Secret, Section, Text


class KafkaSettings(Section):
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
        description="Kafka considers a worker dead after this time (s) without a heartbeat and gives its partitions to others. "
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


class RedisSettings(Section):
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


class TritonSettings(Section):
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
        60.0,
        ge=0,
        le=1000,
        description="Longest time (ms) that a window, its words, a second of sound or a face waits for others to share an inference of at "
        "most 16. The wait follows the load: nothing waits if no other is expected within this time; if four are, it is as long as "
        "this. Higher saves CPU time under load, lower gives results sooner.",
    )
    text_model: Text | None = Field(
        None, description="Hugging Face model to build text_encoder from; default: the packaged weights of MiniLM."
    )
