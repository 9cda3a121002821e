"""docker-compose.yml and the Dockerfile name only what the code has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from stream.cli.main import app
from stream.config.load import ENV_PREFIX, load_settings
from stream.gateway.access_file import read_access_file
from stream.model_repository.model_config import CPU_CONFIG, GPU_CONFIG
from stream.model_repository.served_models import MODEL_NAMES

ROOT = Path(__file__).resolve().parent.parent.parent
OWN = {"worker", "gateway"}
"""Services with the image that the Dockerfile makes."""
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def test_every_image_is_pinned(services: dict[str, dict[str, Any]]) -> None:
    images = {name: service["image"] for name, service in services.items() if "image" in service}
    assert set(images) == set(services) - OWN
    for image in images.values():
        assert re.search(r":v?\d[\w.-]*$", image), image
    assert images["triton-gpu"] == images["triton-cpu"] == "nvcr.io/nvidia/tritonserver:24.10-py3"


def test_published_ports_are_on_loopback_and_the_defaults_of_the_settings(
    services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clean(monkeypatch)
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    settings = load_settings()
    kafka_port = settings.kafka.bootstrap.rpartition(":")[2]
    redis_port = re.search(r":(\d+)/", settings.redis.url.get_secret_value())
    assert redis_port is not None
    assert ports == {
        "kafka": [f"127.0.0.1:{kafka_port}:{kafka_port}"],
        "redis": [f"127.0.0.1:{redis_port[1]}:{redis_port[1]}"],
        "gateway": [f"127.0.0.1:{settings.gateway.port}:{settings.gateway.port}"],
        "grafana": ["127.0.0.1:3000:3000"],
    }


def test_the_workers_variables_are_settings_and_its_addresses_are_services(
    services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clean(monkeypatch)
    for name, value in services["worker"]["environment"].items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert listener(services, "SERVICES") == settings.kafka.bootstrap
    assert settings.redis.url.get_secret_value() == "redis://redis:6379/0"
    host, _, port = settings.triton.url.partition(":")
    assert port == "8001"
    for triton in ("triton-gpu", "triton-cpu"):
        assert host in services[triton]["networks"]["services"]["aliases"]
    assert settings.log_format == "json"


def test_the_gateways_variables_are_settings_and_let_nobody_in_without_a_token(
    services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clean(monkeypatch)
    service = services["gateway"]
    for name, value in service["environment"].items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert listener(services, "SERVICES") == settings.kafka.bootstrap
    assert settings.redis.url.get_secret_value() == "redis://redis:6379/0"
    source, target, mode = service["volumes"][0].split(":")
    assert settings.gateway.access is not None
    assert settings.gateway.access.parent == Path(target)
    assert mode == "ro"
    assert read_access_file(ROOT / source / settings.gateway.access.name).tokens == {}
    assert service["profiles"] == services["worker"]["profiles"]
    assert set(service["depends_on"]) == {"kafka", "redis"}
    script = service["healthcheck"]["test"][3]
    assert re.findall(r"http://[^']*", script) == [f"http://127.0.0.1:{settings.gateway.port}/live"]
    compile(script, "healthcheck", "exec")


def listener(services: dict[str, dict[str, Any]], name: str) -> str:
    advertised = services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    return str(dict(entry.split("://") for entry in advertised)[name])


def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)


def test_kafka_listens_where_it_says(services: dict[str, dict[str, Any]]) -> None:
    environment = services["kafka"]["environment"]
    listeners = dict(entry.split("://") for entry in environment["KAFKA_LISTENERS"].split(","))
    protocols = dict(entry.split(":") for entry in environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert set(listeners) == set(protocols)
    for name in ("SERVICES", "HOST"):
        assert listener(services, name).rpartition(":")[2] == listeners[name].rpartition(":")[2]
    assert listener(services, "SERVICES") in services["kafka"]["healthcheck"]["test"]
    assert environment["KAFKA_INTER_BROKER_LISTENER_NAME"] in listeners
    assert environment["KAFKA_LOG_DIRS"] == services["kafka"]["volumes"][0].partition(":")[2]
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


@pytest.mark.parametrize("service", sorted(OWN))
def test_the_command_exists(services: dict[str, dict[str, Any]], service: str) -> None:
    name, *arguments = services[service]["command"]
    group = typer.main.get_command(app)
    command = group.commands[name]  # type: ignore[attr-defined]  # typer's group is a click group
    command.make_context(name, list(arguments))


def test_the_worker_is_healthy_when_it_says_that_it_is_ready(services: dict[str, dict[str, Any]]) -> None:
    kind, program, option, script = services["worker"]["healthcheck"]["test"]
    assert (kind, program, option) == ("CMD", "python", "-c")
    port = services["worker"]["environment"]["SENTISTREAM_HEALTH__PORT"]
    assert re.findall(r"http://[^']*", script) == [f"http://127.0.0.1:{port}/ready"]
    compile(script, "healthcheck", "exec")


def test_a_worker_may_drain_before_it_is_killed(services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    clean(monkeypatch)
    assert int(services["worker"]["stop_grace_period"].removesuffix("s")) >= load_settings().limits.drain_s + 15


def test_triton_serves_our_repository(services: dict[str, dict[str, Any]]) -> None:
    for name, profile in (("triton-gpu", "gpu"), ("triton-cpu", "cpu")):
        service = services[name]
        source, target, mode = service["volumes"][0].split(":")
        assert mode == "ro"
        assert f"--model-repository={target}" in service["command"]
        assert {"--model-control-mode=explicit", "--load-model=*"} <= set(service["command"])
        assert service["profiles"] == [profile]
        for model in MODEL_NAMES:
            assert (ROOT / source / model / GPU_CONFIG).is_file()
            assert (ROOT / source / model / CPU_CONFIG).is_file()
    assert "--model-config-name=cpu" in services["triton-cpu"]["command"]
    assert Path(CPU_CONFIG).stem == "cpu"
    assert "--model-config-name=cpu" not in services["triton-gpu"]["command"]
    devices = services["triton-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]


def test_a_gpu_does_not_shorten_products(services: dict[str, dict[str, Any]]) -> None:
    assert services["triton-gpu"]["environment"] == {"NVIDIA_TF32_OVERRIDE": "0"}


def test_the_worker_waits_for_either_triton(services: dict[str, dict[str, Any]]) -> None:
    needs = services["worker"]["depends_on"]
    assert all(need["condition"] == "service_healthy" for need in needs.values())
    assert {name for name, need in needs.items() if need.get("required", True)} == {"kafka", "redis"}
    assert set(needs) == set(services) - OWN - {"prometheus", "grafana"}
    assert all("healthcheck" in services[name] for name in needs)
    assert services["worker"]["profiles"] == ["gpu", "cpu"]


def test_everything_is_hardened(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only", False) == (name != "kafka"), name
    assert "privileged" not in str(services)


def test_networks_and_volumes_exist(compose: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    assert compose["networks"]["services"] == {"internal": True}
    for name, service in services.items():
        assert set(service["networks"]) <= set(compose["networks"]), name
        assert ("host" in service["networks"]) == ("ports" in service), name
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or (ROOT / source).is_dir(), volume


def test_redis_keeps_what_it_is_told(services: dict[str, dict[str, Any]]) -> None:
    command = services["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert services["redis"]["volumes"] == ["redis-data:/data"]


def test_the_dockerfile_copies_what_is_there_and_runs_our_command_without_root() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {source for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for source in line.split()[:-1]}
    assert copied == allowed
    for source in copied:
        assert (ROOT / source).exists(), source
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert 'ENTRYPOINT ["sentistream"]' in DOCKERFILE
    assert "[local]" not in DOCKERFILE
    assert "torch" not in re.sub(r"^#.*$", "", DOCKERFILE, flags=re.MULTILINE)


@pytest.mark.parametrize("profile", ["gpu", "cpu"])
def test_docker_compose_accepts_it(profile: str) -> None:
    if shutil.which("docker") is None or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no docker compose here")
    command = ["docker", "compose", "--profile", profile, "config", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
