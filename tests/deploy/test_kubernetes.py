"""The manifests fit the published schemas, and name what the images, the service and the command line have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from cml.cli import COMMANDS, cli
from cml.errors import QualityGateError, StoppedError
from service.settings import PREFIX, Settings
from tests.contracts.documents import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "kubernetes"
DOCUMENTS = [
    (path.name, document)
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]


def pods() -> Iterator[dict[str, Any]]:
    for _, document in DOCUMENTS:
        if document["kind"] == "Deployment":
            yield document["spec"]["template"]["spec"]
        elif document["kind"] == "CronJob":
            yield document["spec"]["jobTemplate"]["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("name", "document"), DOCUMENTS, ids=lambda value: value if isinstance(value, str) else ""
)
@pytest.mark.parametrize("version", ["1.31", kubernetes_validate.latest_version()])
def test_a_manifest_fits_the_schema(name: str, document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_a_field_that_does_not_exist_would_be_found() -> None:
    document = next(document for _, document in DOCUMENTS if document["kind"] == "Deployment")
    wrong = document | {"spec": document["spec"] | {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.31", strict=True)


def test_two_retrainings_never_run_at_once_and_a_refusal_is_not_tried_again() -> None:
    job = next(document["spec"] for _, document in DOCUMENTS if document["kind"] == "CronJob")
    assert job["concurrencyPolicy"] == "Forbid"
    rules = job["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    codes = {code: rule["action"] for rule in rules for code in rule["onExitCodes"]["values"]}
    assert (codes[QualityGateError.exit_code], codes[StoppedError.exit_code]) == ("FailJob", "Ignore")


def test_nothing_runs_as_root_or_writes_where_it_should_not() -> None:
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001  # of docker/Dockerfile
        for container in pod["containers"]:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert rights["allowPrivilegeEscalation"] is False


def test_no_pod_takes_the_clusters_variables_for_settings() -> None:
    """For a Service `cml-service` a cluster sets `CML_SERVICE_PORT=tcp://...` in every pod, unless told not to."""
    services = [document["metadata"]["name"] for _, document in DOCUMENTS if document["kind"] == "Service"]
    assert any(f"{name}_".replace("-", "_").upper().startswith(PREFIX) for name in services)
    found = list(pods())
    assert found
    assert all(pod["enableServiceLinks"] is False for pod in found)


def test_settings_and_options_that_are_named_exist() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for pod in pods():
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {variable["name"] for variable in container.get("env", ())} <= known
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes
            if "command" in container:
                program, command, *options = container["command"]
                assert (program, command in COMMANDS) == ("cml", True)
                help_page = CliRunner().invoke(cli, [command, "--help"]).output
                assert all(option in help_page for option in options if option.startswith("--"))
