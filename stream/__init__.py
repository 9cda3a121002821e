"""Sentistream: real-time multimodal sentiment of live conversations, with explanations that are measured.

The names below and `stream.client`, the client of the gateway, are the public Python interface. Every other module is internal and may
change in any release.

Follow the results of a session::

    import asyncio

    import stream

    async def main() -> None:
        settings = stream.load_settings()
        sessions = [stream.SessionKey("default", "call-17")]
        async with stream.ResultReader(settings.redis, sessions) as results:
            async for received in results:
                if isinstance(received.record, stream.ScoreRecord):
                    print(received.record.track, received.record.score)

    asyncio.run(main())
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.config.load import ConfigError, load_settings
    from stream.config.service_settings import RedisSettings
    from stream.config.settings import Settings
    from stream.domain.alert import AlertEvidence, AlertMode, AlertRecord, AlertState, Severity, Statement
    from stream.domain.evidence import SpanEvidence, WordClaim, WordEvidence
    from stream.domain.identity import SessionKey
    from stream.domain.modality import Modality
    from stream.domain.result import (
        AttentionShare,
        Change,
        Changes,
        ExplanationRecord,
        FaceMap,
        ModelVersion,
        Moment,
        PartialRecord,
        Record,
        ScoreRecord,
        SessionRecord,
        decode_record,
    )
    from stream.explain.text_view import alert_without_text, without_text
    from stream.sinks.reader import ReceivedRecord, ResultReader

_HOME = {
    "AlertEvidence": "stream.domain.alert",
    "AlertMode": "stream.domain.alert",
    "AlertRecord": "stream.domain.alert",
    "AlertState": "stream.domain.alert",
    "AttentionShare": "stream.domain.result",
    "Change": "stream.domain.result",
    "Changes": "stream.domain.result",
    "ConfigError": "stream.config.load",
    "ExplanationRecord": "stream.domain.result",
    "FaceMap": "stream.domain.result",
    "Modality": "stream.domain.modality",
    "ModelVersion": "stream.domain.result",
    "Moment": "stream.domain.result",
    "PartialRecord": "stream.domain.result",
    "ReceivedRecord": "stream.sinks.reader",
    "Record": "stream.domain.result",
    "RedisSettings": "stream.config.service_settings",
    "ResultReader": "stream.sinks.reader",
    "ScoreRecord": "stream.domain.result",
    "SessionKey": "stream.domain.identity",
    "SessionRecord": "stream.domain.result",
    "Settings": "stream.config.settings",
    "Severity": "stream.domain.alert",
    "SpanEvidence": "stream.domain.evidence",
    "Statement": "stream.domain.alert",
    "WordClaim": "stream.domain.evidence",
    "WordEvidence": "stream.domain.evidence",
    "alert_without_text": "stream.explain.text_view",
    "decode_record": "stream.domain.result",
    "load_settings": "stream.config.load",
    "without_text": "stream.explain.text_view",
}
"""The module that defines each public name. They are imported on first use: the sandbox's child processes must not load Redis clients."""

__all__ = [
    "AlertEvidence",
    "AlertMode",
    "AlertRecord",
    "AlertState",
    "AttentionShare",
    "Change",
    "Changes",
    "ConfigError",
    "ExplanationRecord",
    "FaceMap",
    "Modality",
    "ModelVersion",
    "Moment",
    "PartialRecord",
    "ReceivedRecord",
    "Record",
    "RedisSettings",
    "ResultReader",
    "ScoreRecord",
    "SessionKey",
    "SessionRecord",
    "Settings",
    "Severity",
    "SpanEvidence",
    "Statement",
    "WordClaim",
    "WordEvidence",
    "alert_without_text",
    "decode_record",
    "load_settings",
    "without_text",
]


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
