"""deploy/kubernetes: what is committed is what the overlays say, valid, and fits the image."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from deployed import check_settings, environment_of_image, tags_of_image, user_of_image
from jsonschema import Draft202012Validator
from programs import find_program
from zoo_server import ROOT, NoEngine

from app.http.admission import is_always_admitted
from app.main import create_app
from app.settings import GIB, Settings
from app.telemetry.metrics import Metrics

Object = dict[str, Any]

FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())
# The oldest that has `preStop.sleep` without a feature gate, and the newest.
VERSIONS = ("1.30", kubernetes_validate.latest_version())
SCHEMAS = {
    "RayCluster": "ray_cluster.schema.json",
    "ServiceMonitor": "service_monitor.schema.json",
}
CONTAINERS = ("initContainers", "containers")
UNITS = {"Mi": 2**20, "Gi": 2**30}
# The processes and the activations of a batch, as docs/serving.md says.
PROCESSES = 2 * GIB


def objects(overlay: str) -> list[Object]:
    return list(yaml.safe_load_all((FOLDER / "rendered" / f"{overlay}.yaml").read_text()))


def of_kind(overlay: str, kind: str) -> Object:
    (only,) = (each for each in objects(overlay) if each["kind"] == kind)
    return only


def pod_templates(overlay: str) -> Iterator[Object]:
    for each in objects(overlay):
        match each:
            case {"kind": "Deployment", "spec": {"template": template}}:
                yield template
            case {"kind": "RayCluster", "spec": spec}:
                yield spec["headGroupSpec"]["template"]
                for group in spec["workerGroupSpecs"]:
                    yield group["template"]


def containers(overlay: str) -> Iterator[Object]:
    for template in pod_templates(overlay):
        for key in CONTAINERS:
            yield from template["spec"].get(key, ())


def service(overlay: str) -> Object:
    """Return the container of the service."""
    (container,) = of_kind(overlay, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["name"] == "service"
    return container


def settings(overlay: str) -> dict[str, str]:
    """Return the variables that the service of an overlay gets, and the image's."""
    data: dict[str, str] = of_kind(overlay, "ConfigMap")["data"]
    return environment_of_image() | data


def size(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", text).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit]


def matches(selector: Object, labels: Object) -> bool:
    return selector["matchLabels"].items() <= labels.items()


def rendered(folder: Path) -> str:
    """Render a folder with kubectl's kustomize."""
    kubectl = find_program("kubectl", "kubernetes-client, from Debian 13 on")
    version = subprocess.run(
        [kubectl, "version", "--client", "--output=json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    kustomize = json.loads(version.stdout or "{}").get("kustomizeVersion", "none")
    if not kustomize.startswith("v5"):
        # Debian 12 has no newer one, so that continuous integration on it skips this, too.
        pytest.skip(f"the overlays need kustomize 5; that of kubectl is {kustomize}")
    done = subprocess.run(
        [kubectl, "kustomize", str(folder)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_committed_is_what_the_overlay_says(overlay: str) -> None:
    committed = (FOLDER / "rendered" / f"{overlay}.yaml").read_text()
    assert rendered(FOLDER / "overlays" / overlay) == committed, "run `make manifests`"


def test_each_overlay_is_rendered_and_nothing_else() -> None:
    assert sorted(path.stem for path in (FOLDER / "rendered").iterdir()) == OVERLAYS


def test_the_monitor_can_be_added_to_an_overlay(tmp_path: Path) -> None:
    overlay = ROOT.joinpath("deploy/kubernetes").relative_to(ROOT)
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "resources": [str(_from(tmp_path, ROOT / overlay / "overlays/cpu"))],
                "components": [str(_from(tmp_path, ROOT / overlay / "components/service-monitor"))],
            }
        )
    )
    added = [each for each in yaml.safe_load_all(rendered(tmp_path)) if each not in objects("cpu")]
    assert [each["kind"] for each in added] == ["ServiceMonitor"]
    check(added[0], VERSIONS[-1])
    monitor = added[0]["spec"]
    assert matches(monitor["selector"], of_kind("cpu", "Service")["metadata"]["labels"])
    names = {port["name"] for port in of_kind("cpu", "Service")["spec"]["ports"]}
    assert {endpoint["port"] for endpoint in monitor["endpoints"]} <= names


def _from(folder: Path, target: Path) -> Path:
    """Return a path relative to a folder: kustomize takes no absolute one."""
    return Path(*[".."] * (len(folder.parts) - 1), *target.parts[1:])


def check(item: Object, version: str) -> None:
    """Check an object against the schema of the API, or of the fields used of a custom one."""
    if item["kind"] in SCHEMAS:
        schema = json.loads((Path(__file__).parent / SCHEMAS[item["kind"]]).read_text())
        Draft202012Validator(schema).validate(item)
    else:
        kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_is_valid_by_its_schema(overlay: str, version: str) -> None:
    for each in objects(overlay):
        check(each, version)
    for template in pod_templates(overlay):
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}}
        check({**pod, "template": template}, version)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.template.spec.containers.0.resource", {}),
        ("spec.template.spec.containers.0.livenessProbe.periodSeconds", "10"),
    ],
)
def test_a_misspelled_field_is_not_valid(path: str, value: object) -> None:
    deployment: Any = of_kind("cpu", "Deployment")
    *parents, last = path.split(".")
    place = deployment
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    place[last] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        check(deployment, VERSIONS[-1])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_may_run_where_the_restricted_standard_holds(overlay: str) -> None:
    user, group = user_of_image()
    for template in pod_templates(overlay):
        pod = template["spec"]
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (
            user,
            group,
            group,
        )
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert all({"emptyDir", "secret"} & volume.keys() for volume in pod["volumes"])
    for container in containers(overlay):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        for amount in ("cpu", "memory"):
            assert container["resources"]["requests"][amount]
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_image_has_what_the_pods_need(overlay: str) -> None:
    image = environment_of_image()
    (tag,) = {container["image"] for container in containers(overlay)}
    assert tag.removeprefix("model-zoo-service:") in tags_of_image()
    assert {"ray": "ray"}.get(overlay, "shared") == tag.rpartition("-")[2]
    for template in pod_templates(overlay):
        for container in template["spec"]["containers"]:
            # The root file system is read-only, and these are written: Keras and Ray use /tmp.
            paths = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert {image["ZOO_HOME"], "/tmp"} <= paths
    (port,) = service(overlay)["ports"]
    assert str(port["containerPort"]) == image["ZOO_PORT"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_setting_is_one_of_the_service(overlay: str) -> None:
    given = {each["name"]: "postgresql://db/zoo" for each in service(overlay)["env"]}
    check_settings(settings(overlay) | given)
    assert "ZOO_RAY_ADDRESS" in settings(overlay) or overlay != "ray"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_secret_is_here(overlay: str) -> None:
    assert "Secret" not in {each["kind"] for each in objects(overlay)}
    for container in containers(overlay):
        for variable in container.get("env", ()):
            if variable["name"].startswith("ZOO_"):
                assert variable["valueFrom"]["secretKeyRef"]["name"].startswith("model-zoo-")
    assert not re.search(r"://[^/\s]*:[^/\s]*@", json.dumps(objects(overlay)))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_has_time_to_drain(overlay: str) -> None:
    pod = of_kind(overlay, "Deployment")["spec"]["template"]["spec"]
    pause = service(overlay)["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed = pause + int(settings(overlay)["ZOO_DRAIN_S"]) + 10  # seconds for the worker to end
    assert pod["terminationGracePeriodSeconds"] >= needed


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_probes_are_answered_whatever_else_happens(overlay: str, tmp_path: Path) -> None:
    app = create_app(Settings(home=tmp_path), lambda *_: NoEngine())
    routes = app.openapi()["paths"]
    app.state.services.close()
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        get = service(overlay)[probe]["httpGet"]
        assert get["port"] == "http"
        assert get["path"] in routes
        assert is_always_admitted({"method": "GET", "path": get["path"]})


@pytest.mark.parametrize("overlay", [each for each in OVERLAYS if each != "ray"])
def test_the_memory_holds_what_the_settings_allow(overlay: str) -> None:
    given = {name.removeprefix("ZOO_").lower(): value for name, value in settings(overlay).items()}
    known = {name: value for name, value in given.items() if name in Settings.model_fields}
    limits = Settings.model_validate(known)
    needed = limits.max_models_bytes + limits.max_queue_bytes + limits.max_bodies_bytes + PROCESSES
    assert size(service(overlay)["resources"]["limits"]["memory"]) >= needed
    (home,) = (
        volume["emptyDir"]
        for volume in of_kind(overlay, "Deployment")["spec"]["template"]["spec"]["volumes"]
        if volume["name"] == "home"
    )
    # Copies of files, and two uploads with what they unpack to.
    kept = limits.max_files_bytes + 2 * (limits.max_upload_bytes + limits.max_import_bytes)
    assert size(home["sizeLimit"]) >= kept


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_selects_pods_finds_them(overlay: str) -> None:
    labels = of_kind(overlay, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert matches(of_kind(overlay, "Deployment")["spec"]["selector"], labels)
    assert matches(of_kind(overlay, "PodDisruptionBudget")["spec"]["selector"], labels)
    assert of_kind(overlay, "Service")["spec"]["selector"].items() <= labels.items()
    target = of_kind(overlay, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target["name"] == of_kind(overlay, "Deployment")["metadata"]["name"]
    policies = [each["spec"] for each in objects(overlay) if each["kind"] == "NetworkPolicy"]
    for template in pod_templates(overlay):
        chosen = [
            policy
            for policy in policies
            if policy["podSelector"]
            and matches(policy["podSelector"], template["metadata"]["labels"])
        ]
        assert chosen, "only what is denied applies to it"
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies


def test_replicas_follow_the_queue() -> None:
    for overlay in ("cpu", "gpu"):
        (metric,) = of_kind(overlay, "HorizontalPodAutoscaler")["spec"]["metrics"]
        name = metric["pods"]["metric"]["name"]
        (rule,) = yaml.safe_load((FOLDER / "prometheus_adapter.yaml").read_text())
        assert rule["name"]["as"] == name
        assert rule["seriesQuery"].startswith(f"{name}{{")
        assert name in {family.name for family in _families()}


def _families() -> list[Any]:
    from prometheus_client.parser import text_string_to_metric_families

    return list(text_string_to_metric_families(Metrics().exposition.text()))


def test_ray_is_the_version_of_the_image_and_under_the_name_of_its_head() -> None:
    cluster = of_kind("ray", "RayCluster")
    locked = re.findall(r"^ray==(\S+)", (ROOT / "requirements/ray.txt").read_text(), re.MULTILINE)
    assert [cluster["spec"]["rayVersion"]] == locked
    # The operator names the Service of the head.
    name = f"{cluster['metadata']['name']}-head-svc"
    assert settings("ray")["ZOO_RAY_ADDRESS"] == f"{name}:6379"
    assert cluster["spec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
