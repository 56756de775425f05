"""Prints a software bill of materials (CycloneDX 1.5, JSON) of the image that it runs in.

    docker run --rm -i cml-service python - < docker/sbom.py > service.cdx.json

Names every Python distribution on the path and every Debian package, with version and package URL.
"""

from __future__ import annotations

import json
import sys
from email.parser import Parser
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import quote

DEBIAN_STATUS = Path("/var/lib/dpkg/status")


def python_components() -> dict[str, dict[str, str]]:
    """By package URL: what the interpreter can import, each distribution once."""
    found = ((found.metadata["Name"], found.version) for found in distributions())
    return dict(_component("pypi", name.lower().replace("_", "-"), version) for name, version in found)


def debian_components(status: str) -> dict[str, dict[str, str]]:
    """By package URL: installed packages of dpkg's status file."""
    entries = [Parser().parsestr(entry) for entry in status.split("\n\n") if entry.strip()]
    installed = [entry for entry in entries if entry["Status"] == "install ok installed"]
    return dict(_component("deb/debian", entry["Package"], entry["Version"]) for entry in installed)


def document(components: dict[str, dict[str, str]]) -> dict[str, object]:
    """The bill, in an order that does not change."""
    ordered = [components[url] for url in sorted(components)]
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": ordered}


def _component(kind: str, name: str, version: str) -> tuple[str, dict[str, str]]:
    url = f"pkg:{kind}/{quote(name)}@{quote(version, safe='')}"
    return url, {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


if __name__ == "__main__":
    debian = debian_components(DEBIAN_STATUS.read_text(encoding="utf-8")) if DEBIAN_STATUS.exists() else {}
    json.dump(document(python_components() | debian), sys.stdout, indent=1)
    print()
