"""Settings of a worker: its bounds, what it explains, watches and may use, and how it is observed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from stream.config.policy_values import DEFAULT_ROLES, Languages, NamedRoles, Roles, read_tenants
from stream.config.values import FilePath, Host, Section, Text
from stream.domain.disclosure import Disclosure


class OverloadSettings(Section):
    """What a worker does when more media come than it can decode."""

    shed: Literal["none", "video", "media"] = Field(
        "none",
        description="Which media are not decoded once they have waited for longer than overload.after_ms. none: no media; results come "
        "later and later until the load falls. video: pictures. media: pictures, then sound. Words are always used. Windows say what was "
        "left out.",
    )
    after_ms: int = Field(
        5000,
        ge=1000,
        le=600_000,
        description="How long (ms) a record may wait before the worker counts as behind, and says so.",
    )


class LimitSettings(Section):
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


class ExplanationSettings(Section):
    """What is computed to explain a window, and what is kept of it."""

    words: bool = Field(
        True,
        description="Whether explanations measure the effect of phrases: phrases of final windows are removed, and the other words are "
        "scored again. False saves CPU time, above all where producers encode voice and face, but not the words.",
    )
    candidates: int = Field(
        4,
        ge=1,
        le=32,
        description="Most phrases of a window that are removed for explanations.words: those with the largest estimated effect.",
    )
    verify_encoded: bool = Field(
        False,
        description="Whether phrases are also removed from words that their producer has encoded. The worker then encodes the words "
        "itself: this makes sense only if the producer uses the text encoder of this release.",
    )
    truth_share: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Share of the windows with words in which every phrase is removed, to check the claims on phrases (/metrics) and to "
        "find the fewest phrases whose removal changes the label.",
    )
    text: Disclosure = Field(
        Disclosure.REDACTED,
        description="What explanations show of words: `redacted` replaces names, numbers, addresses and spelled codes by their kind "
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


class RevealSettings(Section):
    """Probes of the live stream: which nuisances move the scores."""

    share: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Share of the media time of tracks whose windows are scored again with hiss, hum, a blurred or dark picture, a filler "
        "word: windows that such a nuisance moves get a warning. 0: no probes. Give all workers the same share, or replayed windows may "
        "differ.",
    )
    hours: int = Field(24, ge=1, le=24 * 30, description="Hours of probes that count, over all workers.")


class AlertSettings(Section):
    """The rules that call a person."""

    rules: FilePath | None = Field(
        None,
        description="YAML file of alert rules, which every worker reads when it starts; all workers need the same. Default: no rules. "
        "`sentistream rules check FILE` finds mistakes in it.",
    )


class TenantPolicySettings(Section):
    """What may be used of the people of one tenant; what is left out is as in the section policy."""

    roles: NamedRoles | None = None
    consent: Literal["assumed", "required"] | None = None
    without_consent: Literal["text_only", "nothing"] | None = None
    languages: Languages | None = None


def _tenants(given: object) -> object:
    return read_tenants(given, TenantPolicySettings)


class PolicySettings(Section):
    """What may be used of whom: modalities by role, consent, language. `docs/policy.md` says why the defaults are as they are."""

    roles: Roles = Field(
        DEFAULT_ROLES,
        description="What may be used of each role: `all`, `text_only` (neither voice nor face) or `off` (nothing). `*` stands for all "
        "roles that are not named. The role agent stays text_only unless it is named: in the EU, emotions of people at work may not be "
        "inferred from voice or face.",
    )
    consent: Literal["assumed", "required"] = Field(
        "assumed",
        description="assumed: everybody has consented unless the session's records say otherwise. required: nobody has consented "
        "unless they say so.",
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


class HealthSettings(Section):
    """The HTTP endpoints /live, /ready, /timings and /metrics of a worker."""

    host: Host = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(0, ge=0, le=65_535, description="Port to listen on. 0: no health endpoints.")


class TracingSettings(Section):
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
