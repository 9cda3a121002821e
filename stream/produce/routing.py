"""Gives the words of a transcript to the tracks of a session."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from stream.domain.features import Word
from stream.media.transcript.read import Transcript
from stream.produce.choice import LEFT_OUT_NAME
from stream.produce.session import TrackSetup

SHOWN_SPEAKERS = 8

_NUMBERED = re.compile(
    r"(?:(?:unknown )?(?:speaker|spk|s|channel|ch|participant|person|voice|caller|guest)[ _#-]*)?(\d{1,3}|[a-z])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class RoutedWords:
    """The words of each track.

    Attributes:
        by_track: One for each track; None where there is no transcript, or where it says nothing about any track.
        unrouted: Number of words that belong to no track, without those of channels that the user leaves out.
        notices: Sentences for the user, which may name speakers.
    """

    by_track: Sequence[tuple[Word, ...] | None] = field(repr=False)
    unrouted: int = 0
    notices: tuple[str, ...] = field(default=(), repr=False)

    def given_to(self, tracks: Sequence[TrackSetup]) -> tuple[TrackSetup, ...]:
        """The tracks with their words."""
        return tuple(replace(track, words=words) for track, words in zip(tracks, self.by_track, strict=True))


def route_words(words: Sequence[Word], tracks: Sequence[str]) -> tuple[list[tuple[Word, ...]], int]:
    """Give each word to the track that is named like its speaker (case does not matter).

    A single track gets all words. With several tracks, a word of an unknown speaker is given to none of them: attributing it to the wrong
    person would be worse than losing it.

    Returns:
        The words of each track, and the number of words that belong to no track.
    """
    return ([tuple(words)], 0) if len(tracks) == 1 else _by_name(words, tracks)


def _by_name(words: Sequence[Word], tracks: Sequence[str]) -> tuple[list[tuple[Word, ...]], int]:
    by_name = {name.casefold(): tuple(w for w in words if (w.speaker or "").casefold() == name.casefold()) for name in tracks}
    routed = [by_name[name.casefold()] for name in tracks]
    return routed, len(words) - sum(map(len, routed))


def route_transcript(transcript: Transcript, tracks: Sequence[str], channels: Sequence[str] = ()) -> RoutedWords:
    """Give the words of a transcript to tracks: by name, else by channel, else by the speakers' numbers.

    A recogniser numbers voices as they begin to speak, so "Speaker 0" need not be the first channel: the notice says what was matched.

    Args:
        transcript: The transcript.
        tracks: Names of the tracks.
        channels: Names of the recording's channels, among them those of the tracks; empty if each track is a channel.
    """
    words = transcript.words
    # Of several channels all but one may be left out: the track gets the words of its own channel then.
    if len(tracks) == 1 and (len(channels) < 2 or len(transcript.speakers) < 2):
        routed, _ = route_words(words, tracks)
        together = f"the transcript's speakers {_listed(transcript.speakers)} are all in the track {tracks[0]}"
        return RoutedWords(routed, 0, (*transcript.notices, *([together] if len(transcript.speakers) > 1 else [])))
    routed, unrouted = _by_name(words, tracks)
    if unrouted < len(words):
        left_out = f"{unrouted} of {len(words)} words are left out: their speaker is not named like a track ({', '.join(tracks)})"
        return RoutedWords(routed, unrouted, (*transcript.notices, *([left_out] if unrouted else [])))
    places, kind = (transcript.channels, "channels") if transcript.channels else (_numbers(transcript.speakers), "speakers")
    names = channels or tracks
    if places and max(places.values()) < len(names):
        renamed = tuple(replace(word, speaker=names[places[word.speaker]]) if word.speaker else word for word in words)
        routed, unrouted = _by_name(renamed, tracks)
        matched = ", ".join(f"{name} is {names[place]}" for name, place in sorted(places.items(), key=lambda item: item[1]))
        left_out = f"{unrouted} of {len(words)} words are left out: they have no speaker, or one who is left out"
        notices = (f"the transcript's {kind} are matched by number: {matched}", *([left_out] if unrouted else []))
        # What the user leaves out is not missing.
        chosen = sum(word.speaker == LEFT_OUT_NAME for word in renamed)
        return RoutedWords(routed, unrouted - chosen, (*transcript.notices, *notices))
    # A transcript that names none of the tracks says nothing about them: "absent", not "they are silent".
    return RoutedWords([None for _ in tracks], len(words), (*transcript.notices, _unmatched(transcript, tracks)))


def _unmatched(transcript: Transcript, tracks: Sequence[str]) -> str:
    beginning = f"all {len(transcript.words)} words are left out: their speaker is not named like a track ({', '.join(tracks)})"
    if not transcript.speakers:
        return f"{beginning}, because the transcript names no speakers"
    return f"{beginning}. The transcript's speakers are {_listed(transcript.speakers)}: give these names to --channels"


def _numbers(speakers: Sequence[str]) -> Mapping[str, int]:
    """Places of speakers that are all numbered, from 0 or from 1, or lettered; empty if they are not."""
    found = {name: _NUMBERED.fullmatch(name) for name in speakers}
    if not found or not all(found.values()):
        return {}
    numbers = {name: int(m[1]) if m[1].isdigit() else ord(m[1].lower()) - ord("a") for name, m in found.items() if m}
    lettered = any(not m[1].isdigit() for m in found.values() if m)
    first = 0 if lettered or 0 in numbers.values() else 1
    return {name: number - first for name, number in numbers.items()}


def _listed(speakers: Sequence[str]) -> str:
    more = f" and {len(speakers) - SHOWN_SPEAKERS} more" if len(speakers) > SHOWN_SPEAKERS else ""
    return ", ".join(speakers[:SHOWN_SPEAKERS]) + more
