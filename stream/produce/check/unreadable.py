"""Says why a worker cannot read a record, and what a producer has to change."""

from __future__ import annotations

from stream.domain.kafka_records import BadRecordError
from stream.domain.odd_records import Oddity, odd_record
from stream.produce.check.record import SentRecord

FIXES = {
    "empty": "send a value with every record; null values (tombstones) mean nothing here",
    "too_large": "send less media in a chunk, at most 1 s, or compress it (audio/ogg, video/mp4)",
    "missing_header": "send the header as text in ASCII; docs/records.md lists all headers",
    "bad_header": "docs/records.md says what the header may hold; every header is text in ASCII",
    "wrong_type": "ce_type is io.sentistream.chunk.MODALITY, and the topic is chunks.MODALITY",
    "wrong_content_type": "docs/records.md lists the content types of each modality",
    "unsupported_version": "send ce_schemaversion 1.0",
    "key_mismatch": "the key of every record is ce_tenant, a slash and ce_subject, as plain bytes",
    "bad_words": 'send {"words": [{"text": …, "start_ms": …, "end_ms": …}]} in UTF-8; times are milliseconds since the session\'s start',
    "bad_event": 'send {"event": "start", …}, {"event": "heartbeat", …} or {"event": "end", …} as docs/records.md shows them',
    "bad_features": "docs/records.md lists the tensors of each modality",
}
"""What to do for each reason for which a worker refuses to read a record."""


def explain(record: SentRecord, error: BadRecordError, *, is_event: bool) -> Oddity:
    """Why a worker refuses a record: the code, the text and the fix of a finding."""
    odd = odd_record(error.reason, str(error), record.key, record.value, record.headers, is_event=is_event)
    return odd or Oddity(error.reason, str(error), FIXES.get(error.reason, "docs/producers.md says what to do"))
