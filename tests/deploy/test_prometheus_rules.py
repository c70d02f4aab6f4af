"""deploy/prometheus: the alerts fire for what they are about, and ask for what is served."""

import subprocess
from typing import Any

import yaml
from programs import find_program
from zoo_server import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
RULES = FOLDER / "model-zoo.rules.yml"
TESTS = FOLDER / "model-zoo.test.yml"


def promtool(*arguments: str) -> str:
    program = find_program("promtool", "prometheus")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    listed: list[dict[str, Any]] = group["rules"]
    return listed


def test_the_rules_can_be_read() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", str(RULES))


def test_each_rule_fires_when_it_should_and_not_before() -> None:
    promtool("test", "rules", str(TESTS))


def test_each_rule_is_tested_both_ways() -> None:
    firing = set()
    for test in yaml.safe_load(TESTS.read_text())["tests"]:
        for each in test["alert_rule_test"]:
            if each.get("exp_alerts"):
                firing.add(each["alertname"])
    assert firing == {rule["alert"] for rule in rules()}


def test_the_page_says_what_to_do_at_each_alert() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    for rule in rules():
        assert f"| `{rule['alert']}` | {rule['labels']['severity']} |" in page


def test_prometheus_loads_the_rules_and_not_their_tests() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    config = yaml.safe_load((ROOT / "deploy/observe/prometheus.yml").read_text())
    (pattern,) = config["rule_files"]
    folder, _, glob = pattern.rpartition("/")
    assert f"./deploy/prometheus:{folder}:ro" in compose["services"]["prometheus"]["volumes"]
    assert list(FOLDER.glob(glob)) == [RULES]
