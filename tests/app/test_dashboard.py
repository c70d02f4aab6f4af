"""deploy/observe: its files parse, fit together, and ask only for metrics that there are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from test_metrics import everything
from zoo_server import ROOT

from app.telemetry.metrics import Metrics

OBSERVE = ROOT / "deploy" / "observe"
DASHBOARD = OBSERVE / "grafana" / "dashboards" / "model-zoo.json"
# Of PromQL: not the names of metrics.
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "bool", "offset"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def compose() -> dict[str, Any]:
    found: dict[str, Any] = read(ROOT / "docker-compose.yml")
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def queries() -> Iterator[str]:
    for panel in panels():
        for target in panel.get("targets", ()):
            yield target["expr"]
    for item in json.loads(DASHBOARD.read_text())["templating"]["list"]:
        yield item["query"]["query"]


def asked(query: str) -> tuple[set[str], set[str]]:
    """Return the metrics and the labels that a query names."""
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", query))
    for group in re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", query):
        labels |= {label.strip() for label in group.split(",")}
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without)\s*\([^)]*\)", " ", query)
    if bare.startswith("label_values("):
        bare, label = bare.removeprefix("label_values(").rstrip(")").split(", ")
        labels.add(label)
    names = set(re.findall(r"\b[a-z_]\w*\b(?!\s*\()", bare))
    return names - WORDS, labels


def alerts() -> Iterator[str]:
    for group in read(ROOT / "deploy" / "prometheus" / "model-zoo.rules.yml")["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


@pytest.fixture(scope="module")
def served() -> dict[str, set[str]]:
    """The labels of each sample's name that /metrics has, and those that Prometheus adds."""
    found: dict[str, set[str]] = {"up": {"job", "instance"}}  # Prometheus's own
    for family in text_string_to_metric_families(everything().exposition.text()):
        for sample in family.samples:
            found.setdefault(sample.name, {"job", "instance"}).update(sample.labels)
    return found


def test_a_query_is_taken_apart() -> None:
    assert asked('sum by (a, b) (rate(x_total{c=~"$d"}[5m])) / y or vector(0)') == (
        {"x_total", "y"},
        {"a", "b", "c"},
    )
    assert asked("label_values(x_total, model)") == ({"x_total"}, {"model"})


@pytest.mark.parametrize("query", sorted({*queries(), *alerts()}))
def test_a_query_asks_for_what_is_served(query: str, served: dict[str, set[str]]) -> None:
    names, labels = asked(query)
    assert names
    for name in names:
        assert name in served
    assert labels <= set().union(*(served[name] for name in names))


def test_what_an_alert_counts_is_there_from_the_start() -> None:
    """Of a counter that appears with its first event, Prometheus would see no increase."""
    reasons = set(re.findall(r'zoo_rejected_total{reason!?="([^"]+)"', " ".join(alerts())))
    text = Metrics().exposition.text()
    assert reasons
    for reason in reasons:
        assert f'zoo_rejected_total{{reason="{reason}"}} 0.0' in text


def test_the_dashboard_shows_every_metric_of_the_service() -> None:
    text = " ".join(queries())
    families = [
        family.name
        for family in text_string_to_metric_families(everything().exposition.text())
        if family.name.startswith(("zoo_", "nv_", "http_")) and not family.name.endswith("_created")
    ]
    assert [name for name in families if name not in text] == []


def test_every_panel_has_its_own_place_and_the_provisioned_source() -> None:
    (source,) = read(OBSERVE / "grafana/provisioning/datasources/prometheus.yml")["datasources"]
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == source["uid"]
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_prometheus_scrapes_the_service_by_the_name_that_compose_gives_it() -> None:
    services = compose()["services"]
    (scrape,) = read(OBSERVE / "prometheus.yml")["scrape_configs"]
    assert scrape["job_name"] == "model-zoo"
    assert scrape.get("metrics_path", "/metrics") == "/metrics"
    (lookup,) = scrape["dns_sd_configs"]
    (host,) = lookup["names"]
    assert lookup["type"] == "A"
    for name in ("cpu", "gpu"):
        assert host in services[name]["networks"]["default"]["aliases"]
        assert services[name]["ports"] == [f"127.0.0.1:8000:{lookup['port']}"]
    for name in ("replica-1", "replica-2"):
        assert host in services[name]["networks"]["cluster"]["aliases"]
    assert services["prometheus"]["networks"] == ["default", "cluster"]
    (source,) = read(OBSERVE / "grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in services


def test_what_compose_mounts_is_there_and_cannot_be_written() -> None:
    services = compose()["services"]
    observers = {name: it for name, it in services.items() if it["profiles"] == ["observe"]}
    assert set(observers) == {"prometheus", "grafana"}
    inside: dict[str, Path] = {}
    for service in observers.values():
        assert service["read_only"]
        assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", service["image"])
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        for volume in service["volumes"]:
            source, target, *mode = volume.split(":")
            if source.startswith("."):
                assert (ROOT / source).exists(), source
                assert mode == ["ro"]
                inside[target] = ROOT / source
            else:
                assert source in compose()["volumes"]
    config = observers["prometheus"]["command"][0].removeprefix("--config.file=")
    assert inside[config] == OBSERVE / "prometheus.yml"
    (provider,) = read(OBSERVE / "grafana/provisioning/dashboards/model-zoo.yml")["providers"]
    assert inside[provider["options"]["path"]] == DASHBOARD.parent
    home = observers["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert inside[str(Path(home).parent)] / Path(home).name == DASHBOARD
