"""Recordings that visitors drop on the page: kept in a private, nameless file, examined in the sandbox, sent at live pace, removed.

The same code prepares and sends them as `sentistream produce`. What a file is called, and what is wrong with it, stays with its sender.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

import structlog

from stream.config.service_settings import KafkaSettings
from stream.domain.identity import SessionKey
from stream.kafka_admin.access import Use
from stream.kafka_admin.errors import BrokerError
from stream.kafka_admin.topics import ensure_topics
from stream.media.errors import MediaError
from stream.produce.prepare import MediaRequest, PreparedSession, prepare
from stream.produce.producer import SendProgress, produce_session

log = structlog.get_logger(__name__)

LARGEST_BYTES = 500_000_000
LONGEST_MS = 3_600_000
"""A longer recording is sent up to here."""
MOST = 4
"""Uploads at once, of all visitors: each takes a thread, a sandbox and up to `LARGEST_BYTES` of disk."""
REMEMBERED = 64
SILENT_S = 30.0
"""A sender from whom nothing comes for this long is given up: others wait for the place."""
PREFIX = "sentistream-upload-"
_SUFFIX = re.compile(r"\.?([a-z0-9]{1,5})", re.ASCII)


NO_ROOM = "the gateway has no room for the recording: free disk space on its machine"


class UploadState(StrEnum):
    """Where an upload stands."""

    RECEIVING = "receiving"
    READING = "reading"
    """It is examined, and its speech recognised where that is installed."""
    SENDING = "sending"
    SENT = "sent"
    STOPPED = "stopped"
    FAILED = "failed"


OVER = {UploadState.SENT, UploadState.STOPPED, UploadState.FAILED}


class UploadRefusedError(Exception):
    """An upload that cannot begin or go on; the message is one sentence that says what to do. `status` is that of the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(slots=True)
class Upload:
    """One recording on its way.

    Attributes:
        owner: Name of who sent it.
        key: The session that it becomes.
        sent_ms: Media time that was sent.
        duration_ms: Length of the recording, if it states one.
        notices: What is absent or left out, in sentences.
        problem: Why it failed, in a sentence; empty if it did not.
    """

    owner: str
    key: SessionKey
    state: UploadState = UploadState.RECEIVING
    step: str = ""
    sent_ms: int = 0
    duration_ms: int | None = None
    notices: tuple[str, ...] = ()
    problem: str = ""
    stop: threading.Event = field(default_factory=threading.Event)


class Uploads:
    """The uploads of one gateway.

    Args:
        kafka: Where recordings are sent.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._uploads: dict[str, Upload] = {}
        self._threads = ThreadPoolExecutor(MOST, thread_name_prefix="upload")
        self._tasks: set[asyncio.Task[None]] = set()
        remove_leftovers()

    def find(self, owner: str, session: str) -> Upload | None:
        """An upload of this owner."""
        upload = self._uploads.get(session)
        return upload if upload is not None and upload.owner == owner else None

    async def take(self, owner: str, tenant: str, ending: str, body: AsyncIterator[bytes]) -> Upload:
        """Receive a recording, and begin to examine and send it. Raises `UploadRefusedError`.

        Args:
            owner: Who sends it; one upload at a time.
            tenant: Whose session it becomes.
            ending: The ending of the file's name, which says whether it is a transcript.
            body: Its bytes.
        """
        suffix = _SUFFIX.fullmatch(ending.lower())
        if suffix is None:
            raise UploadRefusedError(400, "the ending of the file's name must be 1 to 5 letters or digits, for example mp4")
        upload = self._reserve(owner, tenant)
        directory: Path | None = None
        try:
            directory = _own_directory()
            path = directory / f"recording.{suffix[1]}"
            await self._receive(path, body)
        except BaseException as error:
            if directory is not None:
                shutil.rmtree(directory, ignore_errors=True)
            self._fail(upload, str(error) if isinstance(error, UploadRefusedError) else "it did not arrive whole: send it again")
            raise
        task = asyncio.create_task(self._handle(upload, path))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return upload

    async def close(self) -> None:
        """Stop all uploads; each ends its session properly."""
        for upload in self._uploads.values():
            upload.stop.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _reserve(self, owner: str, tenant: str) -> Upload:
        running = [upload for upload in self._uploads.values() if upload.state not in OVER]
        if any(upload.owner == owner for upload in running):
            raise UploadRefusedError(409, "a recording of yours is on its way: wait for its end, or stop it")
        if len(running) >= MOST:
            raise UploadRefusedError(503, "other visitors' recordings are on their way: try again in a few minutes")
        upload = Upload(owner, SessionKey(tenant, f"upload-{uuid4().hex[:12]}"))
        self._uploads[upload.key.session] = upload
        for session in [session for session, old in self._uploads.items() if old.state in OVER][: max(0, len(self._uploads) - REMEMBERED)]:
            del self._uploads[session]
        return upload

    @staticmethod
    async def _receive(path: Path, body: AsyncIterator[bytes]) -> None:
        size = 0
        with path.open("xb") as file:
            async for part in _while_it_comes(body):
                size += len(part)
                if size > LARGEST_BYTES:
                    raise UploadRefusedError(
                        413, f"the recording is larger than {LARGEST_BYTES // 1_000_000} MB: send a shorter part of it"
                    )
                try:
                    await asyncio.to_thread(file.write, part)
                except OSError:
                    raise UploadRefusedError(503, NO_ROOM) from None
        if size == 0:
            raise UploadRefusedError(400, "the file is empty")

    async def _handle(self, upload: Upload, path: Path) -> None:
        loop = asyncio.get_running_loop()
        try:
            upload.state = UploadState.READING
            await loop.run_in_executor(self._threads, self._prepare_and_send, upload, path)
        except MediaError as error:
            self._fail(upload, str(error).replace(str(path), "the file"))
        except BrokerError as error:
            self._fail(upload, str(error))
        except ValueError:
            self._fail(upload, "the file cannot be sent: its content is not usable as a session")
        except Exception as error:
            # A hostile file must not end the gateway. The text of the error may quote it.
            log.error("upload_failed", error=type(error).__name__)
            self._fail(upload, "the file could not be read, for a reason that the gateway does not know")
        finally:
            shutil.rmtree(path.parent, ignore_errors=True)

    def _prepare_and_send(self, upload: Upload, path: Path) -> None:
        """Blocking, in a thread of its own."""

        def on_step(step: str) -> None:
            upload.step = step

        request = MediaRequest(path, session=upload.key.session, tenant=upload.key.tenant)
        prepared = prepare(request, on_step=on_step)
        ensure_topics(self._kafka, Use.SEND)
        upload.notices, upload.duration_ms = prepared.notices, prepared.duration_ms
        if upload.stop.is_set():
            upload.state = UploadState.STOPPED
            return
        upload.state = UploadState.SENDING
        self._send(upload, prepared)

    def _send(self, upload: Upload, prepared: PreparedSession) -> None:
        def on_progress(progress: SendProgress) -> None:
            upload.sent_ms = progress.media_ms
            if progress.media_ms >= LONGEST_MS:
                upload.stop.set()

        produced = produce_session(self._kafka, prepared, stop=upload.stop, on_progress=on_progress)
        upload.sent_ms = produced.media_ms
        upload.notices = (*produced.recording.notices, *produced.recording.warnings)
        upload.state = UploadState.STOPPED if produced.recording.stopped else UploadState.SENT

    @staticmethod
    def _fail(upload: Upload, problem: str) -> None:
        upload.state, upload.problem = UploadState.FAILED, problem


def _own_directory() -> Path:
    """A new directory. Raises `UploadRefusedError`."""
    try:
        # Private to this user: mkdtemp makes it so. The process id tells a later start that it is left over.
        return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    except OSError:
        raise UploadRefusedError(503, NO_ROOM) from None


async def _while_it_comes(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The parts of a body. Raises `UploadRefusedError` if none comes for `SILENT_S`."""
    parts = aiter(body)
    while True:
        try:
            async with asyncio.timeout(SILENT_S):
                part = await anext(parts)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise UploadRefusedError(400, f"nothing of the recording has come for {SILENT_S:g} s: send it again") from None
        yield part


def remove_leftovers() -> None:
    """Remove what a gateway that crashed has left."""
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = directory.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            with suppress(OSError):
                shutil.rmtree(directory)
