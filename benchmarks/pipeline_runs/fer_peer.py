"""What people use today: the package ``fer`` looks at each picture, ``vaderSentiment`` at the words, in one process. Voices go unheard.

``PYTHON fer_peer.py FOLDER`` takes the files ``N.mp4`` and ``N.txt`` of a folder, a second of a session each, and prints the CPU
milliseconds of a second. ``PYTHON`` belongs to an environment of its own, which has nothing of sentistream: both packages, tensorflow-cpu,
requests, pillow, pandas, moviepy, setuptools below 81 and opencv-python-headless below 5.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

ROUNDS = 2


def main(folder: Path) -> None:
    """Analyse all seconds once to warm up, and then in rounds."""
    cv2: Any = import_module("cv2")
    faces = import_module("fer.fer").FER()
    words = import_module("vaderSentiment.vaderSentiment").SentimentIntensityAnalyzer()
    cv2.setNumThreads(1)
    films = sorted(folder.glob("*.mp4"))

    def analyse(film: Path) -> int:
        found, capture = 0, cv2.VideoCapture(str(film))
        while (read := capture.read())[0]:
            found += bool(faces.detect_emotions(read[1]))
        capture.release()
        words.polarity_scores(film.with_suffix(".txt").read_text(encoding="utf-8"))
        return found

    analyse(films[0])
    began = time.process_time()
    found = sum(analyse(film) for _ in range(ROUNDS) for film in films)
    ms = (time.process_time() - began) * 1000 / (ROUNDS * len(films))
    print(json.dumps({"ms": ms, "faces": found / (ROUNDS * len(films))}))


if __name__ == "__main__":
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    main(Path(sys.argv[1]))
