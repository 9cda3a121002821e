"""From what a built ONNX file was made. It is built again only if that has changed."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import helper

KEY = "origin"


def content_with_origin(model: onnx.ModelProto, origin: str) -> bytes:
    """The bytes of a model's file, the same for the same model, with an origin for `origin_of`."""
    helper.set_model_props(model, {KEY: origin})
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def origin_of(file: Path) -> str:
    """The origin that `content_with_origin` stored in a file; empty for any other file, and without a file."""
    try:
        model = onnx.load(str(file))
    except (DecodeError, FileNotFoundError):
        return ""
    return next((prop.value for prop in model.metadata_props if prop.key == KEY), "")
