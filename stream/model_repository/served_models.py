"""Names of the served models, and the properties of their configurations that workers rely on."""

from __future__ import annotations

TEXT_ENCODER = "text_encoder"
AUDIO_ENCODER = "audio_encoder"
FACE_ENCODER = "face_encoder"
MMCI = "mmci"
MODEL_NAMES = (TEXT_ENCODER, AUDIO_ENCODER, FACE_ENCODER, MMCI)

BUILT = (TEXT_ENCODER, AUDIO_ENCODER)
"""Models whose ONNX file is not in git: it is built from weights in installed packages."""

OPSET = 18
IR_VERSION = 10
"""Versions of the operators and of the ONNX format of every file that is written: onnxruntime 1.18 and later read it, and so the Triton
24.10 container."""

MAX_ROWS = 16
"""Most rows of one request; the ``max_batch_size`` of every model is at least this."""

DIGEST_DIGITS = 12
"""Number of digits of an ONNX file's SHA-256 that name its weights."""

ENCODER_PARAMETER = "audio_encoder"
"""Parameter of mmci's configuration: ``audio_encoder.N`` is the version of the audio encoder with which mmci's version N was trained. A
version that it does not name was trained with version 1, that of the release."""

DIGEST_PARAMETER = "digest"
"""Parameter of mmci's configuration: the first `DIGEST_DIGITS` hexadecimal digits of the SHA-256 of version 1's ONNX file. That of
another version N is ``digest.N``."""
