"""What a demo run sends: the user's files or the packaged sample, as sessions with names of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from secrets import token_hex

from stream.cli.errors import CommandError
from stream.domain.identity import SessionKey
from stream.produce.prepare import MediaRequest, PreparedSession, prepare
from stream.sample import sample_requests

TENANT = "default"


def plan_sessions(
    media: Sequence[Path], transcripts: Sequence[Path], count: int | None, on_step: Callable[[str], None]
) -> tuple[PreparedSession, ...]:
    """Prepare every session of a run.

    Args:
        media: The user's files, one session each; none = the packaged sample.
        transcripts: Belong to `media` in its order; may be fewer.
        count: Sessions in all, going round the files again and again; None = one for each file.
        on_step: Told what is going on when it takes a while.

    Raises:
        CommandError: The numbers do not go together.
        SourceError, TranscriptError: A file cannot be used.
    """
    if len(transcripts) > len(media):
        raise CommandError(f"--transcript is given {len(transcripts)} times for {len(media)} MEDIA: name the MEDIA of each of them")
    words = [*transcripts, *[None] * (len(media) - len(transcripts))]
    requests = [MediaRequest(file, transcript) for file, transcript in zip(media, words, strict=True)]
    prepared = [prepare(request, on_step) for request in requests or sample_requests()]
    if count is not None and count < len(prepared):
        raise CommandError(
            f"--sessions {count} is fewer than the {len(prepared)} recordings: leave it out, or ask for {len(prepared)} or more"
        )
    return tuple(named(islice(cycle(prepared), count or len(prepared))))


def named(sessions: Sequence[PreparedSession] | islice[PreparedSession]) -> list[PreparedSession]:
    """Give each session a name that no run before had: results of another run under one name would be taken for replays."""
    run = token_hex(3)
    return [
        replace(session, plan=replace(session.plan, key=SessionKey(TENANT, f"demo-{run}-{number}")))
        for number, session in enumerate(sessions, start=1)
    ]
