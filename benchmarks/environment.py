"""Where figures come from: the peers' own virtual environment, the machine, versions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
PEERS = REPOSITORY / ".cache" / "peers"
REQUIRED = ("implicit==0.7.3", "rectools-lightfm==1.17.3", "torch==2.13.0", "pandas==3.1.1")
WITHOUT_DEPENDENCIES = ("PyTorchCML==0.3.1",)  # it asks for a Python older than any that still lives
OURS = ("numpy", "scipy", "torch", "cml-recommender")


def peers_python(home: Path = PEERS) -> Path:
    """The interpreter of the peers' environment, which is made on first use. Raises CalledProcessError."""
    python, ready = home / "bin" / "python", home / ".ready"
    wanted = "\n".join([*REQUIRED, *WITHOUT_DEPENDENCIES])
    if not ready.exists() or ready.read_text(encoding="utf-8") != wanted:
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        constraints = ["-c", str(REPOSITORY / "constraints.txt"), "--find-links", str(REPOSITORY / "wheels")]
        subprocess.run([*install, *constraints, *REQUIRED], check=True)
        alone = ["--no-deps", "--ignore-requires-python", *WITHOUT_DEPENDENCIES]
        subprocess.run([*install, *alone], check=True)
        ready.write_text(wanted, encoding="utf-8")
    return python


def thread_environment(threads: int) -> dict[str, str]:
    """Environment of a child process: the peers bring threads of their own, so BLAS gets one each."""
    return os.environ | {
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": str(threads),
        "PYTHONWARNINGS": "ignore",
    }


def machine() -> dict[str, Any]:
    """Processor, cores, memory, and how busy the machine is with other things."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    models = [line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_at_start": round(os.getloadavg()[0], 1),
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "default"),  # of every process that is measured
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Of what was measured and what it stands on."""
    peers = dict(package.split("==") for package in (*REQUIRED, *WITHOUT_DEPENDENCIES))
    return {name: version(name) for name in OURS} | {
        f"{name} (peers)" if name in OURS else name: number for name, number in peers.items()
    }
