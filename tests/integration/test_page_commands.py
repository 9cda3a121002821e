"""Every shell command on the pages runs, on a stack that `sentistream up` has started, or stands below with the reason why not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import httpx
import pytest

from stream.config.project import PROJECT_ROOT
from stream.local.ports import free_port
from stream.produce.sample import CALL
from tests.support.media import write_film
from tests.support.page_blocks import Block, blocks

MEASURES = "measures or trains, for minutes to hours; its options are read in tests/unit/test_page_commands.py"
NEEDS_DOCKER = "needs Docker; files, profiles and services are compared in tests/unit/test_page_commands.py"
NOT_RUN = {
    ("README.md", "make demo"): "installs into .venv; tests/end_to_end/test_demo.py runs the demo, and .ci/run says make test",
    ("examples/README.md", "pip install -r examples/python/requirements.txt"): "installs; run by tests/integration/test_examples.py",
    ("examples/README.md", "cd examples/node"): "installs from npm; run by tests/integration/test_examples.py",
    ("examples/README.md", "cd examples/java"): "needs Maven and its registry; the program is run by tests/integration/test_examples.py",
    ("examples/README.md", "javac -cp"): "needs Java; run by tests/integration/test_examples.py",
    ("examples/consumers/README.md", "python examples/consumers/wallboard.py"): "run by tests/integration/test_consumers.py",
    ("examples/consumers/README.md", "python examples/consumers/moderation_worker.py"): "run by tests/integration/test_consumers.py",
    ("examples/consumers/README.md", "python examples/consumers/social_feed.py"): "run by tests/integration/test_consumers.py",
    ("examples/consumers/README.md", "pip install -r examples/consumers/requirements.txt"): "run by tests/integration/test_consumers.py",
    ("docs/api.md", ""): "run by tests/integration/test_api_page.py",
    ("docs/operations.md", "docker compose --profile"): NEEDS_DOCKER,
    ("docs/operations.md", "docker compose run"): NEEDS_DOCKER,
    ("docs/operations.md", "sentistream models build"): f"{NEEDS_DOCKER}; models build is run by README.md",
    ("docs/operations.md", "sh configs/hardened/make-secrets.sh"): f"{NEEDS_DOCKER}; run by tests/integration/test_hardened.py",
    ("docs/operations.md", "sentistream prepare-kafka"): "needs a Kafka with users; run by tests/integration/test_hardened.py",
    ("docs/operations.md", "sentistream models list --live"): "needs a second version; run by tests/integration/test_promotions.py",
    ("docs/explanations.md", "sentistream reveal"): "trains a version; run by tests/end_to_end/test_reveal_to_revise.py",
    ("docs/explanations.md", "SENTISTREAM_DATA=/path/to/corpora"): MEASURES,
    ("docs/reliability.md", "python -m benchmarks."): MEASURES,
    ("docs/performance.md", "python -m benchmarks."): MEASURES,
    ("docs/research/README.md", "pip install"): "installs",
    ("docs/research/model.md", "python -m research."): MEASURES,
    ("docs/research/voices.md", "python -m research."): MEASURES,
    ("docs/research/digits.md", "python -m benchmarks."): MEASURES,
}
"""Page and begin of the first line of blocks that do not run here → why."""
pytestmark = pytest.mark.timeout(1500)
PRELUDE = """
sentistream() { python -m tests.support.shown_command "$@"; }
"""
BLOCK_S = 600.0
SESSION_S = 180.0
SHORT_S = 5.0


def reason_of(block: Block) -> str | None:
    """Why a block does not run here."""
    return next((reason for (page, begin), reason in NOT_RUN.items() if page == block.page and block.text.startswith(begin)), None)


@dataclass(frozen=True)
class Stack:
    """What `sentistream up` runs.

    Attributes:
        folder: Holds the files that the pages take for granted.
        environment: What `up` prints for other terminals, and the folder as home.
        page: Address of the gateway, without a slash at its end.
    """

    folder: Path
    environment: dict[str, str]
    page: str

    def run(self, text: str) -> str:
        """Run a block of the pages; return what was wrong with it, or nothing."""
        names = self.names()
        text = re.sub("|".join(map(re.escape, names)), lambda name: names[name[0]], text)
        ran = subprocess.run(
            ["bash", "-ec", PRELUDE + text],
            cwd=self.folder,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=BLOCK_S,
        )
        return f"exit code {ran.returncode}\n{text}\n{ran.stdout}\n{ran.stderr}" if ran.returncode else ""

    def names(self) -> dict[str, str]:
        """What the pages call the services, and their addresses here."""
        kafka, redis, triton = (self.environment[f"SENTISTREAM_{name}"] for name in ("KAFKA__BOOTSTRAP", "REDIS__URL", "TRITON__URL"))
        local = {"http://127.0.0.1:8080": self.page, "127.0.0.1:9092": kafka}
        elsewhere = {"broker:9092": kafka, "redis://cache:6379/0": redis, "triton:8001": triton, "HOST:PORT": kafka}
        return local | elsewhere | {"--session NAME": "--session call-17", "watch NAME": "watch call-17"}


def write_samples(folder: Path) -> None:
    """Write the files that the pages take for granted, a few seconds long."""
    for name in ("call.wav", "interview.wav", "b.wav"):
        write_call(folder / name)
    for name in ("clip.mp4", "a.mp4", "meeting.mp4"):
        write_film(folder / name, SHORT_S)
    for name in ("words.vtt", "c.vtt"):
        (folder / name).write_text("WEBVTT\n\n00:00.500 --> 00:03.500\nthank you so much\n", encoding="utf-8")
    (folder / "configs").symlink_to(PROJECT_ROOT / "configs")
    (folder / "my-rules.yaml").write_text(next(block.text for block in blocks("yaml") if block.page == "docs/alerts.md"), encoding="utf-8")


def write_call(path: Path) -> None:
    """Write the first seconds of the packaged call, with its two channels."""
    with av.open(str(CALL)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("pcm_s16le", rate=16_000, layout="stereo")
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=16_000)
        for frame in source.decode(audio=0):
            if (frame.time or 0) < SHORT_S:
                for part in resampler.resample(frame):
                    target.mux(stream.encode(part))
        target.mux(stream.encode(None))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("pages")
    write_samples(folder)
    environment = {
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT_ROOT),
        "SENTISTREAM_EXPLANATIONS__STORE": str(folder / "windows.db"),
        "SENTISTREAM_GATEWAY__PORT": str(free_port()),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "stream.cli", "up", "--gateway-port", "0"]
    with subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = read_until_up(process)
            (page,) = re.findall(r"live page +(http\S+)/", said)
            stack = Stack(folder, environment | dict(re.findall(r"^export (\w+)=(.*)$", said, re.MULTILINE)), page)
            for session in ("call-17", "call-1"):
                sent = f"sentistream produce {CALL} --transcript {CALL.with_suffix('.vtt')} --channels agent,customer"
                assert not (problem := stack.run(f"{sent} --session {session}")), problem
            until_ended(stack)
            yield stack
        finally:
            process.terminate()
            process.communicate(timeout=60)


def read_until_up(process: subprocess.Popen[str]) -> str:
    """Return what `up` prints until all runs."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C stops everything." in line:
            return said
    raise AssertionError(said)


def until_ended(stack: Stack) -> None:
    """Wait until the two sessions have ended."""
    until = time.monotonic() + SESSION_S
    while httpx.get(f"{stack.page}/api/v1/sessions?state=ended").text.count('"session":"call-1') < 2:
        assert time.monotonic() < until
        time.sleep(0.5)


def test_the_commands_of_every_block_run(stack: Stack) -> None:
    """One test, so that tests in several processes start one stack only."""
    problems = {block.name: stack.run(block.text) for block in blocks("sh") if not reason_of(block)}
    failed = [f"{name}: {problem}" for name, problem in problems.items() if problem]
    assert not failed, "\n\n".join(failed)


def test_every_reason_belongs_to_a_block_and_names_tests_that_exist() -> None:
    keys = {(page, begin) for block in blocks("sh") for page, begin in NOT_RUN if page == block.page and block.text.startswith(begin)}
    assert keys == NOT_RUN.keys()
    named = {file for reason in NOT_RUN.values() for file in re.findall(r"tests/[\w/]+\.py", reason)}
    assert [file for file in named if not (PROJECT_ROOT / file).exists()] == []


def test_every_program_in_python_is_run() -> None:
    assert {block.page for block in blocks("python")} == {"docs/api.md"}, "tests/integration/test_api_page.py runs those of this page"
