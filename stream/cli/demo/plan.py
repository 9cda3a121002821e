"""What a demo run sends: the user's files or the packaged sample, as sessions with names of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from secrets import token_hex

from stream.cli.errors import CommandError
from stream.domain.identity import SessionKey
from stream.produce.prepare import MediaRequest, PreparedSession, prepare
from stream.produce.sample import sample_requests

TENANT = "default"


@dataclass(frozen=True, slots=True)
class Recordings:
    """What the user named.

    Attributes:
        media: Files, one session each; none = the packaged sample.
        transcripts: Belong to `media` in its order; may be fewer.
        sessions: Sessions in all, going round the files again and again; None = one for each file.
        recognise: Recognise speech where there is no transcript; None = if that is installed.
    """

    media: tuple[Path, ...] = ()
    transcripts: tuple[Path, ...] = ()
    sessions: int | None = None
    recognise: bool | None = None

    def requests(self) -> tuple[MediaRequest, ...]:
        """One request for each recording. Raises `CommandError` when the numbers do not go together."""
        media, transcripts = self.media, self.transcripts
        if len(transcripts) > len(media):
            raise CommandError(f"--transcript is given {len(transcripts)} times for {len(media)} MEDIA: name the MEDIA of each of them")
        words = [*transcripts, *[None] * (len(media) - len(transcripts))]
        named = tuple(MediaRequest(file, text, recognise=self.recognise) for file, text in zip(media, words, strict=True))
        requests = named or sample_requests()
        if self.sessions is not None and self.sessions < len(requests):
            raise CommandError(f"--sessions {self.sessions} is too few: there are {len(requests)} recordings, one session each")
        return requests


def plan_sessions(wanted: Recordings, on_step: Callable[[str], None]) -> tuple[PreparedSession, ...]:
    """Prepare every session of a run; each recording is looked at once.

    Args:
        wanted: The recordings.
        on_step: Told what is going on when it takes a while.

    Raises:
        CommandError: The numbers do not go together.
        SourceError, TranscriptError: A file cannot be used.
    """
    prepared = [prepare(request, on_step) for request in wanted.requests()]
    return tuple(named(list(islice(cycle(prepared), wanted.sessions or len(prepared)))))


def sources(wanted: Recordings) -> Iterator[str]:
    """Names of the files that the sessions play, in their order, for ever going round."""
    return cycle([request.media.name for request in wanted.requests()])


def named(sessions: Sequence[PreparedSession]) -> Iterator[PreparedSession]:
    """Give each session a name that no run before had: results of another run under one name would be taken for replays."""
    run = token_hex(3)
    for number, session in enumerate(sessions, start=1):
        key = SessionKey(TENANT, f"demo-{run}-{number}")
        yield replace(session, plan=replace(session.plan, key=key))
