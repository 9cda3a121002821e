"""Options that several commands share, and the settings that result from them."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import EXIT_INCOMPLETE, UsageError
from stream.media.quality import VideoQuality

if TYPE_CHECKING:
    from stream.config.settings import Settings

_EMBEDDED = "start an embedded one"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file (YAML).", show_default="$SENTISTREAM_CONFIG, else built-in settings"),
]
KafkaAddress = Annotated[
    str | None,
    typer.Option("--kafka", metavar="HOST:PORT", help="Kafka brokers, separated by commas.", show_default="setting kafka.bootstrap"),
]
RedisUrl = Annotated[
    str | None,
    typer.Option(
        "--redis",
        metavar="URL",
        help="Redis, as a URL: redis://, rediss:// (with TLS), unix:// or redis+sentinel://.",
        show_default="setting redis.url",
    ),
]
TritonAddress = Annotated[
    str | None, typer.Option("--triton", metavar="HOST:PORT", help="Triton's gRPC endpoint.", show_default="setting triton.url")
]

ExternalKafka = Annotated[str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Use a running Kafka.", show_default=_EMBEDDED)]
ExternalRedis = Annotated[str | None, typer.Option("--redis", metavar="URL", help="Use a running Redis.", show_default=_EMBEDDED)]
ExternalTriton = Annotated[
    str | None,
    typer.Option("--triton", metavar="HOST:PORT", help="Use a running Triton (gRPC endpoint).", show_default=_EMBEDDED),
]

Speed = Annotated[str, typer.Option("--speed", metavar="NUMBER|max", help="1.0: live pace. 2: twice as fast. max: as fast as possible.")]
SpeechRecognition = Annotated[
    bool | None, typer.Option("--asr/--no-asr", help="Recognise speech if there is no transcript.", show_default="if it is installed")
]
Channels = Annotated[
    str | None,
    typer.Option(
        "--channels",
        metavar="NAME,NAME",
        help="Make each speaker a track of the session: name the file's audio tracks if it has several, else the channels of its only "
        "audio track, first to last. The name is also the role. `-` leaves one out. With several files it holds for each of them.",
        show_default="one track",
    ),
]
AudioTrack = Annotated[
    int | None,
    typer.Option(
        "--audio-track",
        metavar="N",
        min=1,
        help="Send this audio track of the file, counted from 1 as players do.",
        show_default="the first with a voice",
    ),
]
VideoTrack = Annotated[
    int | None,
    typer.Option(
        "--video-track",
        metavar="N",
        min=1,
        help="Send this video track of the file, counted from 1 as players do.",
        show_default="the first with a face",
    ),
]
Quality = Annotated[
    VideoQuality,
    typer.Option(
        "--quality",
        help="How much of the picture is sent. model: 320 pixels on the longer side, 5 pictures a second: workers look at no more. "
        "sharp: 640 pixels, for faces that are small in the picture. high: 640 pixels, up to 30 a second, for other readers of the topic.",
    ),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help=f"Exit with {EXIT_INCOMPLETE} if some of the content that the files announce was not sent."),
]
OpenBrowser = Annotated[bool, typer.Option("--open", help="Open the live page in a browser.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object a line instead of a table.")]


def parse_channels(text: str | None) -> tuple[str, ...]:
    """``"agent, customer"`` → ``("agent", "customer")``; nothing → ``()``. Raises `UsageError` if a name is empty."""
    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise UsageError("--channels has an empty name: separate the names by one comma each, for example agent,customer")
    return names


def load_settings_with(config: Path | None, *, kafka: str | None = None, redis: str | None = None, triton: str | None = None) -> Settings:
    """Load the settings; addresses from the command line win over all other sources. Raises `ConfigError`."""
    from stream.config.load import load_settings  # noqa: PLC0415 - heavy imports stay out of --help

    addresses = {"kafka": ("bootstrap", kafka), "redis": ("url", redis), "triton": ("url", triton)}
    return load_settings(config, {section: {key: value} for section, (key, value) in addresses.items() if value is not None})


def external_services(*, kafka: str | None, redis: str | None, triton: str | None) -> frozenset[str]:
    """Return the names of the services that the user named, so that no embedded ones are started: ``kafka``, ``redis``, ``triton``."""
    return frozenset(name for name, address in (("kafka", kafka), ("redis", redis), ("triton", triton)) if address is not None)


def since_time_ms(text: str, now_ms: int) -> int:
    """Return the time (Unix ms) that is ``90m``, ``12h`` or ``7d`` ago, or that is given in RFC 3339 with an offset.

    Raises:
        UsageError: The text is neither.
    """
    ago = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if ago:
        return now_ms - int(ago[1]) * _SECONDS[ago[2]] * 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min  # noqa: DTZ901 (it has no offset, so it is refused below)
    if moment.tzinfo is None:
        raise UsageError(f"--since {text!r} is neither like 90m, 12h or 7d nor a time with an offset like 2026-11-22T10:00+00:00")
    return round(moment.timestamp() * 1000)
