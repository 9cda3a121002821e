"""`python -m stream.cli`: the same as `sentistream`."""

from __future__ import annotations

from stream.cli.main import main

if __name__ == "__main__":
    main()
