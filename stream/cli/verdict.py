"""`sentistream verdict`: a reviewer says whether a window's explanation holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import UsageError, friendly_errors
from stream.cli.options import ConfigFile, KafkaAddress, load_settings_with

if TYPE_CHECKING:
    from stream.domain.verdict import Mask, Span

_SPAN = re.compile(r"(text|audio|video):(\d+)-(\d+)", re.ASCII)


@friendly_errors()
def verdict(
    window_id: Annotated[str, typer.Argument(metavar="WINDOW_ID", help="Window, as in its records: tenant/session/track/EPOCH-END.")],
    judgement: Annotated[
        str, typer.Argument(metavar="VERDICT", help="right, wrong, right_for_wrong_reason, artefact or genuine.", show_default=False)
    ],
    *,
    artefact: Annotated[str | None, typer.Option(metavar="NAME", help="The nuisance, as `sentistream reveal` names it.")] = None,
    span: Annotated[
        str | None, typer.Option(metavar="MODALITY:FROM-TO", help="What the verdict is about, in media milliseconds: audio:4000-5200.")
    ] = None,
    evidence: Annotated[
        bool, typer.Option("--evidence/--not-evidence", help="Whether the feeling shows in the span, or the span must not be used.")
    ] = False,
    reviewer: Annotated[str, typer.Option(metavar="ROLE", help="Role of the reviewer, never a name.")] = "reviewer",
    config: ConfigFile = None,
    kafka: KafkaAddress = None,
) -> None:
    """Send a reviewer's verdict on a window to the topic feedback.

    Use it where an explanation is wrong, or right for a wrong reason. `sentistream reveal --feedback` counts the verdicts that name an
    artefact. Of several verdicts of one role on one window and artefact, the last counts.

    For example:

    - `sentistream verdict default/call-17/agent/0-8000 right`

    - `sentistream verdict default/call-17/agent/0-8000 artefact --artefact hiss --span audio:4000-8000`
    """
    import time  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.domain.verdict import Judgement, Mask, Verdict  # noqa: PLC0415
    from stream.reveal.feedback import send_verdict  # noqa: PLC0415

    settings = load_settings_with(config, kafka=kafka)
    if judgement not in tuple(Judgement):
        raise UsageError(f"VERDICT must be one of {', '.join(Judgement)}")
    if artefact is None and judgement in {Judgement.ARTEFACT, Judgement.GENUINE}:
        raise UsageError(f"the verdict {judgement} needs --artefact NAME, as `sentistream reveal` names it")
    try:
        where = None if span is None else _span(span, Mask.EVIDENCE if evidence else Mask.NOT_EVIDENCE)
        said = Verdict(
            window_id=window_id,
            verdict=Judgement(judgement),
            reviewer=reviewer,
            given_at_ms=round(time.time() * 1000),
            artefact=artefact,
            span=where,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    send_verdict(settings.kafka, said)
    typer.secho(f"Sent: {said.verdict} for {said.window_id}", fg="green", err=True)


def _span(text: str, mask: Mask) -> Span:
    """The span that ``MODALITY:FROM-TO`` names. Raises ``ValueError``."""
    from stream.domain.modality import Modality  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.domain.verdict import Span  # noqa: PLC0415

    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError("--span must be text, audio or video with a start and an end in milliseconds, for example audio:4000-5200")
    return Span(Modality(found[1]), int(found[2]), int(found[3]), mask)
