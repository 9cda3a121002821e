"""How often words are taken for a language that the model does not know: of English, and of other languages.

    python -m benchmarks.language

English is from $SENTISTREAM_DATA: the utterances of MELD and MOSI one by one, and the same talk, and that of the transcripts in clips/, cut
into windows of `WINDOW_WORDS` words, as many as come in four seconds. Other languages are in `foreign_speech.toml`, sentence by sentence
and cut likewise. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from stream.media.transcript.read import TRANSCRIPT_SUFFIXES, read_transcript
from stream.policy.language import language_of
from stream.training.corpora import Utterance, read_meld, read_mosi

WINDOW_WORDS = 10
KNOWN = frozenset({"en"})
FOREIGN = Path(__file__).with_name("foreign_speech.toml")

Texts = dict[str, list[list[str]]]


def main() -> None:
    """Print one line for each kind of text, then all of them as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language", description=__doc__)
    data = os.environ.get("SENTISTREAM_DATA")
    parser.add_argument("--data", type=Path, default=data, required=not data, help="folder of the corpora; default: $SENTISTREAM_DATA")
    texts = english(parser.parse_args().data) | foreign()
    shares, began = {}, time.perf_counter()
    for name, samples in texts.items():
        found = sum(language_of(words, KNOWN) is not None for words in samples)
        shares[name] = {"texts": len(samples), "foreign": found}
        print(f"{name:24} {found:6,} of {len(samples):6,} are taken for another language ({found / len(samples):.2%})")
    total = sum(map(len, texts.values()))
    print(json.dumps({"texts": shares, "ms_each": round((time.perf_counter() - began) * 1000 / total, 4)}))


def english(data: Path) -> Texts:
    """English texts: utterances, and windows of talk."""
    texts: Texts = {}
    for name, utterances in (("meld", read_meld(data)), ("mosi", read_mosi(data))):
        texts[f"{name} utterances"] = [utterance.text.split() for utterance in utterances]
        texts[f"{name} windows"] = [window for talk in _talks(utterances) for window in windows(talk)]
    files = [path for path in sorted((data / "clips" / "transcripts").iterdir()) if path.suffix in TRANSCRIPT_SUFFIXES]
    talks = [[word.text for word in read_transcript(path, None).words] for path in files]
    texts["calls and clips windows"] = [window for talk in talks for window in windows(talk)]
    return texts


def foreign() -> Texts:
    """Texts in other languages: sentences, and windows of them in a row."""
    sentences = tomllib.loads(FOREIGN.read_text(encoding="utf-8"))
    texts: Texts = {f"{language} sentences": [sentence.split() for sentence in of] for language, of in sentences.items()}
    for language, of in sentences.items():
        texts[f"{language} windows"] = list(windows(" ".join(of).split()))
    return texts


def windows(words: Sequence[str]) -> Iterator[list[str]]:
    """Words in their order, as many at a time as a window has."""
    for start in range(0, len(words), WINDOW_WORDS):
        yield list(words[start : start + WINDOW_WORDS])


def _talks(utterances: Iterable[Utterance]) -> Iterator[list[str]]:
    """The words of each dialogue or video."""
    ordered = sorted(utterances, key=attrgetter("group", "order"))
    for _, of_group in groupby(ordered, key=attrgetter("group")):
        yield " ".join(utterance.text for utterance in of_group).split()


if __name__ == "__main__":
    main()
