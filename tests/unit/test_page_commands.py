"""The shell commands on the pages: their programs, files and options exist. `tests/integration/test_page_commands.py` runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.build_site import pages
from stream.config.project import PROJECT_ROOT
from tests.support.page_blocks import Block, blocks, commands, inline_code
from tests.support.page_readers import READERS, options_of, read_python, read_sentistream

LANGUAGES = {"sh", "python", "json", "yaml", "mermaid", "text"}
SAMPLES = ("call.wav", "clip.mp4", "meeting.mp4", "interview.wav", "a.mp4", "b.wav", "c.vtt", "words.vtt", "my-rules.yaml", "users.txt")
"""Files that the pages take for granted; those with a setting that must exist have to be there when options are read."""
every_command = pytest.mark.parametrize(
    "block",
    # A program's own parser is found by importing the program, and some import PyTorch.
    [pytest.param(block, id=block.name, marks=[pytest.mark.slow] * ("python -m" in block.text)) for block in blocks("sh")],
)


def test_every_block_says_its_language() -> None:
    assert [block.name for block in blocks() if block.language not in LANGUAGES] == []


@every_command
def test_the_commands_of_a_block_can_be_read(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SAMPLES:
        (tmp_path / name).touch()
    (tmp_path / "configs").symlink_to(PROJECT_ROOT / "configs")
    monkeypatch.setenv("SENTISTREAM_DATA", str(tmp_path))
    found = commands(block.text)
    assert found
    folder = PROJECT_ROOT
    for program, *arguments in found:
        if program == "cd":
            folder /= arguments[0]
            assert folder.is_dir()
        with monkeypatch.context() as here:
            here.chdir(tmp_path if program == "sentistream" else folder)
            READERS[program](arguments)


@pytest.mark.parametrize("page", pages())
def test_options_named_in_sentences_exist(page: str) -> None:
    wrong = []
    for piece in inline_code(page):
        words = piece.split()
        if words[:1] == ["sentistream"]:
            known = options_of(words[1:])
            wrong += [piece for word in words if word.startswith("--") and word.partition("=")[0] not in known]
    assert wrong == []


WRONG = ("demo --sped max clip.mp4", "models promot 2", "models", "verdict", "gateway --opn", "rules test my-rules.yaml", "produce a b")


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_command_is_noticed(wrong: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - typer keeps the classes of its errors to itself
        read_sentistream(wrong.split())
    assert type(caught.value).__name__ in {"NoSuchOption", "UsageError", "MissingParameter", "NoArgsIsHelpError", "NoSuchCommand"}


@pytest.mark.parametrize("wrong", ["-m benchmarks.recovery --rnus 4", "-m benchmarks.align --fast", "-m benchmarks.tables --all"])
def test_a_wrong_option_of_a_program_is_noticed(wrong: str) -> None:
    with pytest.raises(AssertionError):
        read_python(wrong.split())
