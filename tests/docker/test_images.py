"""What is in the two images, and what they refuse."""

from __future__ import annotations

import json

import pytest

from tests.contracts.documents import REPOSITORY
from tests.docker.engine import BUILD_SECONDS, SERVICE, TRAINER, docker, inspect
from tests.docker.test_files import locked, project

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.timeout(2 * BUILD_SECONDS),
    pytest.mark.usefixtures("images"),
]

FIND = "import importlib.util as u, sys; print([m for m in sys.argv[1:] if u.find_spec(m)])"
HEAVY = ["torch", "pandas", "scipy", "sklearn", "pyarrow", "pip"]


def test_the_service_image_has_nothing_of_training_and_no_installer():
    assert docker("run", "--rm", SERVICE, "python", "-c", FIND, "faiss", *HEAVY).stdout == "['faiss']\n"


def test_the_service_image_is_below_400_megabytes():
    assert int(inspect(SERVICE, "{{.Size}}")) < 400e6


def test_the_trainer_image_has_every_command():
    said = docker("run", "--rm", TRAINER, "cml", "train", "--help").stdout
    assert "--train" in said


def test_the_bill_of_materials_of_the_service_is_what_the_lock_says_and_our_package():
    script = (REPOSITORY / "docker" / "sbom.py").read_text(encoding="utf-8")
    bill = json.loads(docker("run", "--rm", SERVICE, "python", "-c", script).stdout)
    urls = {part["purl"] for part in bill["components"]}
    ours = f"pkg:pypi/cml-recommender@{project()['version']}"
    expected = {f"pkg:pypi/{name}@{version}" for name, version in locked("service.lock").items()} | {ours}
    assert {url for url in urls if url.startswith("pkg:pypi/")} == expected
    assert any(url.startswith("pkg:deb/debian/base-files@") for url in urls)


@pytest.mark.parametrize("image", [SERVICE, TRAINER])
def test_nobody_is_root_and_labels_say_what_it_is(image):
    assert inspect(image, "{{.Config.User}}") == "10001:10001"
    labels = json.loads(inspect(image, "{{json .Config.Labels}}"))
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.title"] == image.replace("cml-", "cml-recommender ")


def test_a_bare_service_refuses_to_be_reachable_without_keys():
    refused = docker("run", "--rm", SERVICE, check=False)
    assert refused.returncode == 1
    assert "no API keys are set" in refused.stderr
