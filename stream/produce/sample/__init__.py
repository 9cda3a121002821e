"""The packaged sample: a service call (two channels) and talking faces, both real. Licences are in ``LICENSES.md``."""

from __future__ import annotations

from pathlib import Path

from stream.produce.prepare import MediaRequest, PreparedSession, prepare

HERE = Path(__file__).resolve().parent
CALL = HERE / "call.flac"
FACES = HERE / "faces.mp4"


def sample_requests() -> tuple[MediaRequest, ...]:
    """The two recordings with their transcripts: a call with the tracks agent and customer, and talking faces as one track."""
    return (
        MediaRequest(CALL, CALL.with_suffix(".vtt"), channels=("agent", "customer")),
        MediaRequest(FACES, FACES.with_suffix(".vtt")),
    )


def sample_sessions() -> tuple[PreparedSession, ...]:
    """The sample, ready to be sent, with new session names for each call. Raises `SourceError` when the files are not installed."""
    return tuple(prepare(request) for request in sample_requests())
