"""docker-compose.yml's profile cluster: its parts fit each other, the image and the settings."""

import re
from typing import Any

import yaml
from deployed import check_settings, environment_of_image, tags_of_image
from zoo_server import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
CLUSTER = {name: it for name, it in SERVICES.items() if it.get("profiles") == ["cluster"]}
REPLICAS = [name for name in CLUSTER if name.startswith("replica-")]


def test_the_profile_has_two_replicas_and_what_they_stand_on() -> None:
    assert set(CLUSTER) == {
        *("replica-1", "replica-2", "upgrade"),
        *("database", "bucket", "make-bucket", "proxy"),
    }


def test_every_setting_is_one_of_the_service() -> None:
    for name in (*REPLICAS, "upgrade"):
        check_settings(environment_of_image() | CLUSTER[name]["environment"])


def test_images_are_pinned_or_built() -> None:
    for name, service in CLUSTER.items():
        image, _, tag = service["image"].partition(":")
        if image == "model-zoo-service":
            assert tag in tags_of_image()
        else:
            assert re.fullmatch(r"\d+\.\d+(\.\d+)?", tag), name
    arguments = CLUSTER["replica-1"]["build"]["args"]
    assert CLUSTER["replica-1"]["image"].endswith(f":{arguments['VARIANT']}-{arguments['EXTRAS']}")


def test_only_the_proxy_is_reached_and_only_from_this_machine() -> None:
    ports = {name: service["ports"] for name, service in CLUSTER.items() if "ports" in service}
    assert ports == {"proxy": ["127.0.0.1:8000:8080"]}
    assert COMPOSE["networks"]["cluster"]["internal"] is True
    for name, service in CLUSTER.items():
        expected = {"cluster", "default"} if name == "proxy" else {"cluster"}
        assert set(service["networks"]) == expected


def test_the_replicas_trust_the_network_of_the_proxy() -> None:
    (config,) = COMPOSE["networks"]["cluster"]["ipam"]["config"]
    for name in REPLICAS:
        assert CLUSTER[name]["environment"]["ZOO_TRUSTED_PROXIES"] == config["subnet"]


def test_the_proxy_names_the_replicas_and_has_its_files() -> None:
    text = (ROOT / "deploy/nginx/cluster.conf").read_text()
    assert re.findall(r"^\s*server (\S+):8000 ", text, re.MULTILINE) == REPLICAS
    (listens,) = re.findall(r"listen (\d+);", text)
    assert CLUSTER["proxy"]["ports"] == [f"127.0.0.1:8000:{listens}"]
    mounts = dict(volume.split(":")[1::-1] for volume in CLUSTER["proxy"]["volumes"])
    (included,) = re.findall(r"include (\S+);", text)
    assert mounts[included] == "./deploy/nginx/proxy.conf"
    assert (ROOT / mounts[included]).is_file()
    assert mounts["/etc/nginx/conf.d/default.conf"] == "./deploy/nginx/cluster.conf"


def test_the_addresses_lead_to_the_database_and_the_bucket() -> None:
    for name in REPLICAS:
        environment = CLUSTER[name]["environment"]
        database = CLUSTER["database"]["environment"]
        assert environment["ZOO_DATABASE_URL"] == (
            f"postgresql://{database['POSTGRES_USER']}:{database['POSTGRES_PASSWORD']}"
            f"@database:5432/{database['POSTGRES_DB']}"
        )
        bucket = environment["ZOO_FILES_URL"].removeprefix("s3://")
        assert f"-name {bucket}" in CLUSTER["make-bucket"]["command"][0]
        assert environment["AWS_ENDPOINT_URL"] == "http://bucket:8333"
        assert "-s3.port=8333" in CLUSTER["bucket"]["command"]
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            assert environment[key] == CLUSTER["bucket"]["environment"][key]


def test_a_replica_runs_without_privileges() -> None:
    for name in REPLICAS:
        service = CLUSTER[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_replicas_start_after_the_tables_and_the_bucket_are_there() -> None:
    for name in REPLICAS:
        assert CLUSTER[name]["depends_on"] == {
            "upgrade": {"condition": "service_completed_successfully"},
            "make-bucket": {"condition": "service_completed_successfully"},
        }
    for volume in ("cluster-database", "cluster-bucket"):
        assert volume in COMPOSE["volumes"]
