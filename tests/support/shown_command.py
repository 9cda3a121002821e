"""``python -m tests.support.shown_command ARGUMENTS`` runs ``sentistream ARGUMENTS`` as a page shows it, so that it ends.

A command that runs until Ctrl-C gets its Ctrl-C as soon as it says that it is ready, and must then end in order. Recordings are sent as
fast as possible, and the demo uses the running Triton, unless the page says otherwise.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

READY_S = 60.0
END_S = 30.0
SAYS = {"up": b"Ctrl-C stops everything.", "watch": b"call-17", "demo": b"Ctrl-C"}
"""What a command prints when it is ready; workers and gateways write a file instead."""


def main(arguments: list[str]) -> int:
    """Run the command; return its exit code."""
    name = arguments[0]
    if name in {"produce", "demo"} and "--speed" not in arguments:
        arguments += ["--speed", "max"]
    if name == "demo":
        arguments += ["--triton", os.environ["SENTISTREAM_TRITON__URL"]]
    command = [sys.executable, "-m", "stream.cli", *arguments]
    if name in {"worker", "gateway"} and not is_subcommand(arguments):
        return until_ready_file(command)
    if name in {"up", "watch"} or "--open" in arguments:
        return until_said(command, SAYS[name])
    return subprocess.run(command, check=False).returncode


def is_subcommand(arguments: list[str]) -> bool:
    """Whether it is a command of a group, such as ``gateway token``."""
    return len(arguments) > 1 and not arguments[1].startswith("-")


def until_ready_file(command: list[str]) -> int:
    """Stop a command when it has written its ready file."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready"
        with subprocess.Popen([*command, "--ready-file", str(ready)]) as process:
            until = time.monotonic() + READY_S
            while not ready.exists() and process.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
            return stop(process, is_ready=ready.exists())


def until_said(command: list[str], says: bytes) -> int:
    """Stop a command when it has printed a text."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = False
        for line in process.stdout:
            sys.stdout.buffer.write(line)
            if says in line:
                said = True
                break
        return stop(process, is_ready=said)


def stop(process: subprocess.Popen[bytes], *, is_ready: bool) -> int:
    """Send Ctrl-C and wait; return the exit code, or 1 if the command did not get ready."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        sys.stderr.write("Ctrl-C does not end it\n")
        return 1
    if not is_ready:
        sys.stderr.write("it did not get ready\n")
        return 1
    return 0 if process.returncode == 130 else process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
