"""A pool of confined child processes that decode media from strangers: the asyncio side."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from itertools import accumulate

import msgspec
import numpy as np
import structlog

from stream.aio.backoff import Backoff
from stream.aio.outage import wait_out
from stream.config.media_settings import SandboxSettings
from stream.domain.media_format import FACE_SIZE
from stream.media import messages
from stream.media.confine import child_environment
from stream.media.cores import usable_cores
from stream.media.errors import MediaError, SandboxStartError
from stream.media.faces import FaceFrame, FaceFrames
from stream.media.pcm import Samples

DECODER = (sys.executable, "-m", "stream.media.decoder_child")

START_TIMEOUT_S = 60.0
"""A child imports FFmpeg and OpenCV first: a second or two, but many times that on a busy machine with a cold disk."""

RESTART_BACKOFF = Backoff(first_s=0.2, cap_s=5.0, jitter=0.0)
"""The first retry comes soon, as most children start again at once. Later retries are rare: each needs memory that the machine may lack."""

MAX_BY_CORES = 4
"""Most children that are started without being asked for: a worker of Python's has not the time to feed more."""

_CROP_BYTES = FACE_SIZE * FACE_SIZE
_REPLY: msgspec.msgpack.Decoder[messages.DecoderReply] = msgspec.msgpack.Decoder(messages.DecoderReply)

log = structlog.get_logger(__name__)


class _ChildDied(Exception):
    """The child closed its pipe or broke the protocol."""


class _DecoderProcess:
    """One child process; dead until it is started, and after each failure."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the child unless it is running. Raises `_ChildDied` when it does not become ready."""
        if self._process is not None and self._process.returncode is None:
            return
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                # Decoders write about the media they decode: nothing of it may reach our logs.
                stderr=asyncio.subprocess.DEVNULL,
                env=child_environment(),
                # A session of its own: Ctrl-C in a terminal goes to the parent only, which still needs its children to finish.
                start_new_session=True,
            )
            async with asyncio.timeout(START_TIMEOUT_S):
                header, _ = await self._receive(self._process)
            if not isinstance(_parse_reply(header), messages.Ready):
                raise _ChildDied
        except (OSError, TimeoutError) as error:
            await self.kill()
            raise _ChildDied from error
        except BaseException:
            await self.kill()
            raise

    async def ask(self, request: messages.DecoderRequest, body: bytes, timeout_s: float) -> tuple[messages.DecoderReply, bytes]:
        """Send one request and wait for its reply. After any failure the child is dead.

        A request that times out or is cancelled also kills the child: it would reply later, and the next request would take that reply
        for its own.
        """
        process = self._process
        if process is None or process.stdin is None:
            raise _ChildDied
        try:
            async with asyncio.timeout(timeout_s):
                process.stdin.write(messages.pack(request, body))
                await process.stdin.drain()
                header, reply_body = await self._receive(process)
            return _parse_reply(header), reply_body
        except TimeoutError:
            await self.kill()
            raise
        except (OSError, _ChildDied):
            await self.kill()
            raise _ChildDied from None
        except BaseException:
            await self.kill()
            raise

    async def kill(self) -> None:
        """Kill the child and wait for its end."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # Shielded: a second cancellation must not leave a zombie behind.
        await asyncio.shield(process.wait())

    @staticmethod
    async def _receive(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
        if process.stdout is None:
            raise _ChildDied
        try:
            header_length, body_length = messages.check_lengths(await process.stdout.readexactly(messages.LENGTHS.size))
            message = await process.stdout.readexactly(header_length + body_length)
            return message[:header_length], message[header_length:]
        except (asyncio.IncompleteReadError, messages.ProtocolError):
            raise _ChildDied from None


class Sandbox:
    """Decodes chunks in child processes that cannot harm the worker.

    A child that crashes, hangs or grows too large costs only the chunk it is decoding: it is killed, and a new child takes its place.
    Each takes the next chunk that waits, so a slow one does not hold up the others while another child is free.
    """

    def __init__(self, settings: SandboxSettings, command: Sequence[str] = DECODER) -> None:
        """Make a pool that is not started.

        Args:
            settings: Number of processes, memory and time limits.
            command: Program of the child; the memory limit and the worker's process id are appended.
        """
        arguments = (*command, str(settings.memory_mb), str(os.getpid()))
        self._timeout_s = settings.timeout_s
        processes = settings.processes or min(usable_cores(), MAX_BY_CORES)
        self._decoders = [_DecoderProcess(arguments) for _ in range(processes)]
        # Whoever worked last works next: with little to do, one child keeps its memory warm and the others sleep.
        self._idle: asyncio.LifoQueue[_DecoderProcess] = asyncio.LifoQueue()
        self._stopped = False

    async def start(self) -> None:
        """Start the children. Raises `SandboxStartError` when a child does not become ready."""
        try:
            await asyncio.gather(*(decoder.start() for decoder in self._decoders))
        except _ChildDied:
            await self.stop()
            raise SandboxStartError(
                "the media decoder process does not start: run `python -m stream.media.decoder_child 1024 $$` to see why, "
                "or raise sandbox.memory_mb"
            ) from None
        for decoder in self._decoders:
            self._idle.put_nowait(decoder)

    async def stop(self) -> None:
        """Kill the children. Requests that are still open fail: cancel them first."""
        self._stopped = True
        await asyncio.gather(*(decoder.kill() for decoder in self._decoders))

    async def __aenter__(self) -> Sandbox:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def decode_audio(self, payload: bytes, content_type: str) -> Samples:
        """Decode Opus or AAC in a container to (n,) int16, 16 kHz mono. Raises `MediaError`."""
        reply, body = await self._ask(messages.DecodeAudio(content_type), payload)
        if not isinstance(reply, messages.Samples16k) or len(body) % 2 or not body:
            raise MediaError("decoder_crash")
        return np.frombuffer(body, "<i2").astype(np.int16, copy=False)

    async def find_faces(self, payload: bytes, content_type: str, frames_per_second: int, max_pixels: int) -> FaceFrames:
        """Find the faces in a JPEG, or in sampled frames of an H.264 chunk.

        Args:
            payload: The chunk's bytes.
            content_type: The declared type; the bytes must agree with it.
            frames_per_second: Frames to sample from a second of film.
            max_pixels: Larger pictures are refused.

        Raises:
            MediaError: The chunk cannot be used; the error says why.
        """
        reply, body = await self._ask(messages.FindFaces(content_type, frames_per_second, max_pixels), payload)
        frames = _face_frames(reply, body) if isinstance(reply, messages.FacesFound) else None
        if frames is None:
            raise MediaError("decoder_crash")
        return frames

    async def _ask(self, request: messages.DecoderRequest, body: bytes) -> tuple[messages.DecoderReply, bytes]:
        decoder = await self._idle.get()
        try:
            await self._ensure_running(decoder)
            reply = await decoder.ask(request, body, self._timeout_s)
        except TimeoutError:
            raise MediaError("decoder_timeout") from None
        except _ChildDied:
            raise MediaError("decoder_crash") from None
        finally:
            self._idle.put_nowait(decoder)
        if isinstance(reply[0], messages.Refused):
            raise MediaError(reply[0].reason)
        return reply

    async def _ensure_running(self, decoder: _DecoderProcess) -> None:
        """Start a dead child again, however long that takes: a machine that is short of memory must not cost chunks."""

        async def start(_: int) -> None:
            # The worker may have stopped the sandbox while this request waited: a child started now would never be killed.
            if self._stopped:
                raise SandboxStartError("the sandbox is stopped")
            await decoder.start()

        await wait_out(
            start,
            is_outage=lambda error: isinstance(error, _ChildDied),
            backoff=RESTART_BACKOFF,
            on_outage=lambda _, failures: log.warning("decoder_does_not_start", retry_s=RESTART_BACKOFF.delay_s(failures)),
        )


def _parse_reply(header: bytes) -> messages.DecoderReply:
    try:
        return _REPLY.decode(header)
    except msgspec.DecodeError:
        raise _ChildDied from None


def _face_frames(reply: messages.FacesFound, body: bytes) -> FaceFrames | None:
    """The reply as frames, or None when no honest decoder could have given it: a taken-over child is not believed."""
    boxes = [box for frame in reply.frames for box in frame.boxes]
    times = [frame.time_ms for frame in reply.frames]
    boxes_valid = all(0.0 <= left < right <= 1.0 and 0.0 <= top < bottom <= 1.0 for left, top, right, bottom in boxes)
    if not times or not boxes_valid or len(boxes) * _CROP_BYTES != len(body) or times[0] < 0 or times != sorted(times):
        return None
    crops = np.frombuffer(body, np.uint8).reshape(-1, FACE_SIZE, FACE_SIZE)
    counts = [len(frame.boxes) for frame in reply.frames]
    return tuple(
        FaceFrame(frame.time_ms, frame.boxes, crops[end - count : end])
        for frame, count, end in zip(reply.frames, counts, accumulate(counts), strict=True)
    )
