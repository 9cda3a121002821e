"""A few made-up rated sentences in the form of the archive that the real ones come in."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from stream.training import rated_sentences
from stream.training.rated_sentences import ARCHIVE, FILES, INNER
from tests.support.tiny_corpora import write_meld_with_speakers

RATINGS = (4.0, -4.0, 0.2, 1.0)


def write_rated_sentences(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write vader/ and meld/ below a folder and take this archive for the known one; returns the folder."""
    lines = "".join(f"{number}\t{rating}\tIt's Great, {number}!\r\n" for number, rating in enumerate(RATINGS))
    archive = _packed({INNER: _packed(dict.fromkeys(FILES.values(), lines.encode()))})
    (folder / "vader").mkdir()
    (folder / "vader" / ARCHIVE).write_bytes(archive)
    monkeypatch.setattr(rated_sentences, "SHA256", hashlib.sha256(archive).hexdigest())
    return write_meld_with_speakers(folder)


def _packed(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()
