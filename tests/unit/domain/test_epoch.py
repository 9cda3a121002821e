from __future__ import annotations

import msgspec

from stream.domain.epoch import EpochAssignment


def test_an_assignment_keeps_its_published_field_names() -> None:
    """Records in the result topics outlive the names in the code: `sentistream rebuild` reads them again (docs/records.md)."""
    published = b'{"epoch":1,"declared":0,"zero_ms":1795341660000}'
    assert msgspec.json.encode(EpochAssignment(1, 0, 1_795_341_660_000)) == published
    assert msgspec.json.decode(published, type=EpochAssignment) == EpochAssignment(1, 0, 1_795_341_660_000)
