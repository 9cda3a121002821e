"""Every setting with its default and its meaning: one frozen tree, read from YAML and the environment.

Environment variables win over the file: ``SENTISTREAM_KAFKA__BOOTSTRAP=host:9092`` sets ``kafka.bootstrap``. Unknown keys are errors.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stream.config.gateway_settings import GatewaySettings, WebhookSettings
from stream.config.media_settings import AudioSettings, ModelSettings, SandboxSettings, VideoSettings, WindowSettings
from stream.config.service_settings import KafkaSettings, RedisSettings, TritonSettings
from stream.config.values import Section
from stream.config.worker_settings import (
    AlertSettings,
    ExplanationSettings,
    HealthSettings,
    LimitSettings,
    OverloadSettings,
    PolicySettings,
    RevealSettings,
    TracingSettings,
)


class Settings(Section):
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
