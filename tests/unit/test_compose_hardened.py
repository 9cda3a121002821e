"""docker-compose.hardened.yml fits docker-compose.yml, the settings, and what the script of secrets makes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from stream.cli.main import app
from stream.config.load import ENV_PREFIX, load_settings
from stream.config.project import PROJECT_ROOT
from tests.support.hardened import FILES, MOUNT, hardened_services, kafka_properties, make_secrets

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here to make certificates with")


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return hardened_services()


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made") / "secrets"
    make_secrets(directory)
    return directory


def test_each_service_sees_its_own_secrets_only_and_finds_all_that_it_names(services: dict[str, Any], secrets: Path) -> None:
    own = {"kafka-users": "admin"}
    for name, service in services.items():
        mounted = [volume for volume in service.get("volumes", ()) if "secrets" in volume]
        if not mounted:
            continue
        folder = own.get(name, name)
        assert mounted == [f"./secrets/{folder}:{MOUNT}:ro"]
        named = str((service.get("command"), service.get("environment"), service.get("healthcheck"))).split(MOUNT + "/")[1:]
        files = {text.partition("'")[0].split()[0].rstrip('",') for text in named}
        assert {file for file in files if not (secrets / folder / file).is_file()} == set(), name


def test_programs_read_settings_that_exist_from_their_own_files(
    services: dict[str, Any], secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("worker", "gateway"):
        assert services[name]["env_file"] == [f"secrets/{name}/settings.env"]
        assert "SENTISTREAM_REDIS__URL" not in services[name]["environment"], "it would win over the file"
        lines = (secrets / name / "settings.env").read_text().splitlines()
        with monkeypatch.context() as patch:
            for variable, value in [line.split("=", 1) for line in lines] + list(services[name]["environment"].items()):
                patch.setenv(variable, value.replace(MOUNT, str(secrets / name)))
            settings = load_settings()
        assert (settings.kafka.security, settings.kafka.username, settings.kafka.check_hostname) == ("sasl_ssl", name, True)
        assert (settings.redis.address.tls, settings.redis.address.username) == (True, name)
        assert settings.redis.address.hosts == (("redis", 6379),)


def test_no_listener_of_kafka_is_plain_and_nothing_is_allowed_by_default(services: dict[str, Any]) -> None:
    properties = kafka_properties(services["kafka"]["environment"])
    protocols = dict(entry.split(":") for entry in properties["listener.security.protocol.map"].split(","))
    listeners = dict(entry.split("://") for entry in properties["listeners"].split(","))
    assert set(protocols) == set(listeners)
    assert {name for name, protocol in protocols.items() if protocol == "SASL_SSL"} == {"SERVICES", "HOST"}
    for name in ("SERVICES", "HOST"):
        assert f"listener.name.{name.lower()}.scram-sha-512.sasl.jaas.config" in properties
    for name, protocol in protocols.items():
        if protocol == "SSL":
            assert properties[f"listener.name.{name.lower()}.ssl.client.auth"] == "required"
    assert set(protocols.values()) == {"SSL", "SASL_SSL"}
    assert properties["allow.everyone.if.no.acl.found"] == "false"
    assert "ADMIN" not in str(services["kafka"]["ports"])


def test_redis_has_no_plain_port_and_keeps_the_options_of_the_other_file(services: dict[str, Any]) -> None:
    command = services["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert (options["--port"], options["--tls-port"], options["--tls-auth-clients"]) == ("0", "6379", "yes")
    assert (options["--appendonly"], options["--maxmemory-policy"]) == ("yes", "noeviction")


def test_the_service_that_makes_users_is_as_hardened_as_the_others(services: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    service = services["kafka-users"]
    assert (service["cap_drop"], service["security_opt"], service["read_only"]) == (["ALL"], ["no-new-privileges:true"], True)
    assert services["worker"]["depends_on"]["kafka-users"] == {"condition": "service_completed_successfully"}
    assert services["worker"]["profiles"] == service["profiles"]
    name, *arguments = service["command"]
    context = typer.main.get_command(app).commands[name].make_context(name, list(arguments))  # type: ignore[attr-defined]
    assert set(context.params["worker"] + context.params["gateway"] + context.params["producer"]) == {"worker", "gateway", "producer"}
    with monkeypatch.context() as patch:
        for variable, value in service["environment"].items():
            assert variable.startswith(ENV_PREFIX)
            patch.setenv(variable, value)
        assert load_settings().kafka.security == "ssl"


def test_the_script_replaces_nothing(secrets: Path) -> None:
    script = PROJECT_ROOT / "configs" / "hardened" / "make-secrets.sh"
    before = (secrets / "admin" / "users.txt").read_text()
    done = subprocess.run(["sh", str(script), str(secrets)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is there already" in done.stderr
    assert (secrets / "admin" / "users.txt").read_text() == before


def test_secrets_belong_to_their_owner_and_stay_out_of_git_and_images(secrets: Path) -> None:
    assert secrets.stat().st_mode & 0o077 == 0
    assert (secrets / "authority" / "key.pem").stat().st_mode & 0o077 == 0
    assert "secrets/" in (PROJECT_ROOT / ".gitignore").read_text().splitlines()
    assert "!secrets" not in (PROJECT_ROOT / ".dockerignore").read_text()


def test_docker_compose_accepts_both_files() -> None:
    if shutil.which("docker") is None or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no docker compose here")
    files = [argument for name in FILES for argument in ("--file", name)]
    command = ["docker", "compose", *files, "--profile", "cpu", "config", "--quiet", "--no-env-resolution"]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
