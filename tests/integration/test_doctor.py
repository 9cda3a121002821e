"""`sentistream doctor` against real services."""

from __future__ import annotations

from stream.cli.doctor.finding import Status
from stream.cli.doctor.services import check_services
from stream.config.settings import Settings
from stream.kafka_admin.topics import ensure_topics


async def test_running_services_are_found_with_their_topics(settings: Settings) -> None:
    before = {finding.name: finding for finding in await check_services(settings)}
    assert before["topics"].status is Status.WARNING
    ensure_topics(settings.kafka)
    after = {finding.name: finding for finding in await check_services(settings)}
    assert {finding.status for finding in after.values()} == {Status.OK}, after
    assert after["co-partitioned"].found == "6 partitions each"
    assert settings.triton.url in after["Triton"].found


async def test_a_wrong_port_of_triton_is_reported(settings: Settings, triton_url: str) -> None:
    wrong = settings.model_copy(update={"triton": settings.triton.model_copy(update={"url": settings.kafka.bootstrap})})
    triton = {finding.name: finding for finding in await check_services(wrong)}["Triton"]
    assert (triton.status, triton.found) == (Status.MISSING, "wrong port")
    assert triton.fix == f"{settings.kafka.bootstrap} is a Kafka broker, not Triton; correct --triton or triton.url"
