"""The program `sentistream`; ``python -m stream.cli`` is the same."""

from __future__ import annotations

from stream.aio.signals import remember_interrupts


def main() -> None:
    """Entry point of the console script.

    The commands are imported here, and not above, so that Ctrl-C is remembered from the start: in the middle of some imports Python drops
    a ``KeyboardInterrupt`` (see `remember_interrupts`), and the program would go on as if nothing had happened.
    """
    remember_interrupts()
    try:
        from stream.cli.main import app  # noqa: PLC0415
    except KeyboardInterrupt:
        raise SystemExit(130) from None  # as `stream.cli.errors.EXIT_INTERRUPTED`, which may not be imported yet
    app()


if __name__ == "__main__":
    main()
