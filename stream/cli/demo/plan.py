"""Plans the sessions of a demo run: the user's files or the packaged sample, each session with a name of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from secrets import token_hex

from stream.cli.errors import CommandError, UsageError
from stream.domain.identity import SessionKey
from stream.media.errors import MediaError
from stream.media.quality import VideoQuality
from stream.produce.prepare import MediaRequest, PreparedSession, prepare
from stream.produce.sample import sample_requests

TENANT = "default"


@dataclass(frozen=True, slots=True)
class Recordings:
    """The recordings that the user chose.

    Attributes:
        media: Files, one for each session; empty for the packaged sample.
        transcripts: Transcripts of the first files of `media`, in the same order.
        sessions: Number of sessions; with more sessions than files the files are repeated. None for one session for each file.
        recognise: Whether to recognise speech if there is no transcript; None if that is installed.
        channels, audio_track, video_track: What is sent of every file of `media`; see `MediaRequest`.
        quality: Size and rate of the pictures that are sent, also of the packaged sample.
    """

    media: tuple[Path, ...] = ()
    transcripts: tuple[Path, ...] = ()
    sessions: int | None = None
    recognise: bool | None = None
    channels: tuple[str, ...] = ()
    audio_track: int | None = None
    video_track: int | None = None
    quality: VideoQuality = VideoQuality.MODEL

    def requests(self) -> tuple[MediaRequest, ...]:
        """Return a request for each recording. Raises `UsageError` if the options do not fit the number of files."""
        media, transcripts = self.media, self.transcripts
        if len(transcripts) > len(media):
            raise UsageError(f"{len(transcripts)} --transcript, but {len(media)} MEDIA: name the recording of each transcript as MEDIA")
        if not media and (self.channels or self.audio_track or self.video_track):
            raise UsageError("--channels, --audio-track and --video-track are for your own recordings: name them as MEDIA")
        own = tuple(map(self._request, media, [*transcripts, *[None] * (len(media) - len(transcripts))]))
        requests = own or tuple(replace(request, quality=self.quality) for request in sample_requests())
        if self.sessions is not None and self.sessions < len(requests):
            raise UsageError(f"--sessions {self.sessions} is too few: there are {len(requests)} recordings, one session each")
        return requests

    def _request(self, media: Path, transcript: Path | None) -> MediaRequest:
        return MediaRequest(
            media,
            transcript,
            recognise=self.recognise,
            channels=self.channels,
            audio_track=self.audio_track,
            video_track=self.video_track,
            quality=self.quality,
        )


def plan_sessions(recordings: Recordings, on_step: Callable[[str], None]) -> tuple[PreparedSession, ...]:
    """Prepare every session of a run. Each recording is examined once, however many sessions play it.

    Args:
        recordings: The recordings.
        on_step: Called with the name of a step that takes a while.

    Raises:
        UsageError: The numbers of files, transcripts and sessions do not match.
        CommandError: Files cannot be used. The message has a line for each of them, so that one start of the command finds them all.
    """
    prepared: list[PreparedSession] = []
    problems: list[str] = []
    for request in recordings.requests():
        try:
            prepared.append(prepare(request, partial(_report_step, on_step, request.media)))
        except (MediaError, ValueError) as error:
            problems.append(str(error))
    if problems:
        raise CommandError("\n".join(dict.fromkeys(problems)))
    return tuple(_with_unique_names(list(islice(cycle(prepared), recordings.sessions or len(prepared)))))


def _report_step(on_step: Callable[[str], None], media: Path, step: str) -> None:
    on_step(f"{media.name}: {step}")


def _with_unique_names(sessions: Sequence[PreparedSession]) -> Iterator[PreparedSession]:
    """Give each session a name that no earlier run has had: workers would take results of a second run with the same name for replays."""
    run = token_hex(3)
    for number, session in enumerate(sessions, start=1):
        key = SessionKey(TENANT, f"demo-{run}-{number}")
        yield replace(session, plan=replace(session.plan, key=key))
