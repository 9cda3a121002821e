from __future__ import annotations

import pytest

from stream.align.windower import HoppingWindower


@pytest.mark.parametrize(("media_ms", "first_start_ms"), [(0, 0), (1999, 0), (3999, 0), (4000, 2000), (5000, 2000), (6000, 4000)])
def test_the_first_window_that_ends_after_a_media_time_is_found(media_ms: int, first_start_ms: int) -> None:
    assert HoppingWindower(4000, 2000).first_start_ms(media_ms) == first_start_ms
