"""The alert rules ask for metrics, labels and values that the service has."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from service.metrics import Metrics
from tests.contracts.documents import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "prometheus"
OF_PROMETHEUS = {"up"}
FUNCTIONS = {
    "sum",
    "min",
    "max",
    "by",
    "rate",
    "increase",
    "time",
    "absent",
    "histogram_quantile",
    "and",
    "on",
}


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def exported() -> dict[str, set[str]]:
    """The series of a page on which everything has happened once, each with its labels."""
    metrics = Metrics()
    metrics.observe("GET", "/v1/items/{item_id}", 200, 0.01)
    metrics.answered("popular", None, restricted=True)
    metrics.in_use("000001-0123456789ab", 1.0, 1.0)
    metrics.events.labels("accepted").inc()
    page = metrics.page().decode()
    series = re.findall(r"^(\w+)(?:\{(.*)\})? ", page, flags=re.MULTILINE)
    return {name: set(re.findall(r"(\w+)=", labels)) for name, labels in series}


def asked(expression: str) -> dict[str, set[str]]:
    """The series that an expression names, each with the labels that it matches on."""
    plain = re.sub(r"\b(?:by|on) \([\w, ]*\)", "", expression)
    plain = re.sub(r"\[\w+\]", "", plain)
    found = re.findall(r"([a-z_]+)(\{[^}]*\})?", re.sub(r'"[^"]*"', '""', plain))
    return {name: set(re.findall(r"(\w+)[=!~]", labels)) for name, labels in found if name not in FUNCTIONS}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_what_the_service_exports(rule: dict[str, Any]) -> None:
    known = exported()
    names = asked(rule["expr"])
    assert names
    for name, labels in names.items():
        assert name in OF_PROMETHEUS or name in known, f"no metric {name}"
        assert name in OF_PROMETHEUS or labels <= known[name], f"{name} has no label {labels}"


def test_every_rule_says_how_bad_it_is_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"].keys() == {"summary", "action"}


def test_the_scrape_example_asks_where_the_service_answers() -> None:
    document = yaml.safe_load((FOLDER / "scrape.yml").read_text(encoding="utf-8"))
    [job] = document["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("cml", "/metrics")
    assert all((FOLDER / name).is_file() for name in document["rule_files"])
