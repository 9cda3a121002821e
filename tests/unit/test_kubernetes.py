"""The manifests for Kubernetes: valid by its schemas, and in step with the settings, the image and docker-compose.yml."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from stream.cli.main import app
from stream.config.load import ENV_PREFIX, load_settings
from stream.config.project import PROJECT_ROOT
from stream.model_repository.model_config import CPU_CONFIG

kubernetes_validate = pytest.importorskip("kubernetes_validate")

FOLDER = PROJECT_ROOT / "configs" / "kubernetes"
OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())
VERSIONS = ("1.31.0", "1.36.0")
"""The oldest and the newest that are tried."""
KEDA = "keda.sh/v1alpha1"
Manifest = dict[str, Any]


def built(folder: Path) -> list[Manifest]:
    """What kustomize makes of a folder, as far as these files use it: resources, components, JSON patches, images, replicas."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    manifests: list[Manifest] = []
    for name in kustomization.get("resources", ()):
        path = (folder / name).resolve()
        manifests += built(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    manifests = deepcopy(manifests)
    for name in kustomization.get("components", ()):
        component = (folder / name).resolve()
        manifests += built(component)
        apply(yaml.safe_load((component / "kustomization.yaml").read_text(encoding="utf-8")), manifests)
    if kustomization["kind"] == "Kustomization":
        apply(kustomization, manifests)
    return manifests


def apply(kustomization: Manifest, manifests: list[Manifest]) -> None:
    for patch in kustomization.get("patches", ()):
        (target,) = (m for m in manifests if (m["kind"], m["metadata"]["name"]) == (patch["target"]["kind"], patch["target"]["name"]))
        for change in yaml.safe_load(patch["patch"]):
            change_at(target, change)
    for replicas in kustomization.get("replicas", ()):
        (target,) = (m for m in manifests if m["kind"] == "Deployment" and m["metadata"]["name"] == replicas["name"])
        target["spec"]["replicas"] = replicas["count"]
    for image in kustomization.get("images", ()):
        for container in containers(manifests):
            if container["image"] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"


def change_at(target: Any, change: Manifest) -> None:
    *path, last = [part.replace("~1", "/") for part in change["path"].split("/")[1:]]
    for part in path:
        target = target[int(part) if isinstance(target, list) else part]
    match change["op"]:
        case "remove":
            del target[last]
        case "replace":
            assert last in target
            target[last] = change["value"]
        case "add":
            target[last] = change["value"]


def containers(manifests: list[Manifest]) -> Iterator[Manifest]:
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            yield from manifest["spec"]["template"]["spec"]["containers"]


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return built(FOLDER / "overlays" / request.param)


def find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = (m for m in manifests if (m["kind"], m["metadata"]["name"]) == (kind, name))
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", [*(f"overlays/{name}" for name in OVERLAYS), "components/hpa"])
def test_every_manifest_fits_the_schemas(folder: str, version: str) -> None:
    checked = 0
    for manifest in built(FOLDER / folder):
        if manifest["apiVersion"] != KEDA:
            kubernetes_validate.validate(manifest, version, strict=True)
            checked += 1
    assert checked


def test_a_wrong_manifest_would_be_found(manifests: list[Manifest]) -> None:
    worker = find(manifests, "Deployment", "worker")
    worker["spec"]["template"]["spec"]["containers"][0]["readinessprobe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(worker, VERSIONS[-1], strict=True)


def test_all_is_hardened_and_has_its_budgets(manifests: list[Manifest]) -> None:
    for deployment in (m for m in manifests if m["kind"] == "Deployment"):
        name, pod = deployment["metadata"]["name"], deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            security = container["securityContext"]
            assert (security["readOnlyRootFilesystem"], security["allowPrivilegeEscalation"]) == (True, False)
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]
            assert re.search(r":v?\d[\w.-]*$", container["image"])
        budget = find(manifests, "PodDisruptionBudget", name)
        assert budget["spec"]["selector"]["matchLabels"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def variables(manifests: list[Manifest], name: str) -> dict[str, str]:
    (container,) = find(manifests, "Deployment", name)["spec"]["template"]["spec"]["containers"]
    data: dict[str, str] = find(manifests, "ConfigMap", "settings")["data"]
    return data | {entry["name"]: entry["value"] for entry in container.get("env", ())}


def test_variables_are_settings_and_ports_are_theirs(manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("SENTISTREAM_KAFKA__USERNAME", "of the secret")
    monkeypatch.setenv("SENTISTREAM_KAFKA__PASSWORD", "of the secret")
    for name, port in (("worker", "health"), ("gateway", "http")):
        (container,) = find(manifests, "Deployment", name)["spec"]["template"]["spec"]["containers"]
        with monkeypatch.context() as patch:
            for variable, value in variables(manifests, name).items():
                patch.setenv(variable, value)
            settings = load_settings()
        ports = {entry["name"]: entry["containerPort"] for entry in container["ports"]}
        assert ports[port] == {"health": settings.health.port, "http": settings.gateway.port}[port]
        if name == "gateway":
            assert ports["metrics"] == settings.gateway.metrics_port
        command = typer.main.get_command(app).commands[container["args"][0]]  # type: ignore[attr-defined]
        assert command is not None
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        for file in (settings.kafka.ca_file, settings.gateway.access if name == "gateway" else None):
            assert file is None or str(file.parent) in mounts


def test_a_worker_may_drain_and_a_gateway_lets_go_first(manifests: list[Manifest]) -> None:
    worker = find(manifests, "Deployment", "worker")["spec"]["template"]["spec"]
    assert worker["terminationGracePeriodSeconds"] >= load_settings().limits.drain_s + 15
    for name in ("gateway", "triton"):
        pod = find(manifests, "Deployment", name)["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] > pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] + 10


def test_network_policies_let_through_what_services_use_and_deny_the_rest(manifests: list[Manifest]) -> None:
    nothing = find(manifests, "NetworkPolicy", "nothing")["spec"]
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    settings = find(manifests, "ConfigMap", "settings")["data"]
    egress = [port["port"] for rule in find(manifests, "NetworkPolicy", "worker")["spec"]["egress"] for port in rule["ports"]]
    for variable in ("SENTISTREAM_KAFKA__BOOTSTRAP", "SENTISTREAM_TRITON__URL"):
        assert int(settings[variable].rpartition(":")[2]) in egress
    (grpc,) = find(manifests, "Service", "triton")["spec"]["ports"]
    assert settings["SENTISTREAM_TRITON__URL"] == f"triton:{grpc['port']}"
    for name in ("worker", "gateway", "triton"):
        annotations = find(manifests, "Deployment", name)["spec"]["template"]["metadata"]["annotations"]
        ingress = [port["port"] for rule in find(manifests, "NetworkPolicy", name)["spec"]["ingress"] for port in rule["ports"]]
        assert int(annotations["prometheus.io/port"]) in ingress


def test_workers_scale_up_to_the_partitions_and_by_the_backlog() -> None:
    for overlay, kind, most in (
        ("overlays/production", "ScaledObject", "maxReplicaCount"),
        ("components/hpa", "HorizontalPodAutoscaler", "maxReplicas"),
    ):
        scaler = find(built(FOLDER / overlay), kind, "worker")["spec"]
        settings = find(built(FOLDER / "base"), "ConfigMap", "settings")["data"]
        assert str(scaler[most]) == settings["SENTISTREAM_KAFKA__PARTITIONS"]
        assert scaler["scaleTargetRef"]["name"] == "worker"
    scaled = find(built(FOLDER / "overlays/production"), "ScaledObject", "worker")["spec"]
    (kafka,) = (trigger for trigger in scaled["triggers"] if trigger["type"] == "kafka")
    assert kafka["metadata"]["consumerGroup"] == load_settings().kafka.group
    assert kafka["metadata"]["bootstrapServers"] == settings["SENTISTREAM_KAFKA__BOOTSTRAP"]
    assert "replicas" not in find(built(FOLDER / "overlays/production"), "Deployment", "worker")["spec"]


def test_triton_serves_as_in_compose() -> None:
    services = yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    for overlay, service in (("small", "triton-cpu"), ("production", "triton-gpu")):
        (container,) = find(built(FOLDER / "overlays" / overlay), "Deployment", "triton")["spec"]["template"]["spec"]["containers"]
        assert container["args"] == services[service]["command"]
        assert container["image"] == services[service]["image"]
        assert {entry["name"]: entry["value"] for entry in container.get("env", ())} == services[service].get("environment", {})
    assert Path(CPU_CONFIG).stem == "cpu"
