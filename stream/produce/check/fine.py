"""Says what is as it should be: the subjects in which nothing was found."""

from __future__ import annotations

from stream.produce.check.finding import Findings

SUBJECTS: dict[str, tuple[str, ...]] = {
    "every record can be read by a worker": (
        "missing_header",
        "bad_header",
        "key_mismatch",
        "misspelt_header",
        "structured_mode",
        "no_key",
        "quoted_key",
        "padded_key",
        "schema_registry_key",
        "key_without_tenant",
        "utf_16_key",
        "json_key",
        "quoted_header",
        "binary_header",
        "empty",
        "too_large",
        "wrong_type",
        "wrong_content_type",
        "unsupported_version",
        "bad_event",
    ),
    "ce_sequence is complete and in order": (
        "sequence_gap",
        "repeated",
        "conflict",
        "out_of_order",
    ),
    "media time is continuous": (
        "media_gap",
        "media_overlap",
        "future",
        "clock_restarted",
        "media_time_in_seconds",
        "media_time_unit",
    ),
    "capture times agree with media time": (
        "capture_unit",
        "capture_constant",
        "capture_jitter",
        "clock_drift",
        "time_zone",
        "capture_ahead",
        "skew",
    ),
    "the payloads are what content-type and ce_mediaduration say": (
        "wrong_type",
        "odd_bytes",
        "too_long",
        "short_payload",
        "byte_order",
        "wav_header",
        "base64",
        "node_buffer",
        "bad_media",
        "unsupported",
        "bad_words",
        "relative_times",
        "word_times_in_seconds",
        "words_outside",
        "bytes_as_text",
        "numbers_as_text",
        "utf_16",
        "schema_registry",
        "quoted_json",
        "gzip",
        "bad_features",
    ),
    "the start and end records agree with what was sent": (
        "consent_of_no_track",
        "consents_contradict",
        "no_start",
        "several_starts",
        "late_start",
        "announced_not_sent",
        "sent_not_announced",
        "no_end",
        "end_without_counts",
        "end_counts_too_many",
        "end_counts_too_few",
        "end_too_early",
        "event_without_time",
        "bad_event",
        "stops_early",
    ),
}
"""The sentence for each subject, and the codes of findings that contradict it."""


def say_what_is_fine(findings: Findings, *, from_start: bool) -> None:
    """Add a finding for each subject without errors and warnings.

    Args:
        findings: What was found.
        from_start: The session's first record is among those that were read.
    """
    for sentence, codes in SUBJECTS.items():
        if not findings.has(*codes):
            findings.good(codes[0], sentence)
    if not from_start:
        findings.good("from_start", "older records were not read, or Kafka has deleted them: what was in them is not checked")
