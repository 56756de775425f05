"""Whether a round goes on where an interrupted one was: which one that was, and whether it still may."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cml.events.values import Marks
from cml.manifest import MANIFEST
from cml.registry import Registry
from cml.retraining.interactions import opened
from cml.retraining.order import Order
from cml.retraining.workspace import Workspace
from cml.versions import digest_of


def goes_on(work: Workspace, order: Order, registry: Registry) -> bool:
    """Whether the unfinished run of this workspace is the order's, and nothing happened that it must know.

    One that has gathered nothing yet began at a time that no longer means anything: nothing is lost by beginning anew.
    """
    left = work.state()
    before = left.get("before")
    if left.get("identity") != order.identity(before):
        return False
    if not is_judged_against_current(work, registry, before):
        return False
    gathered = work.gathered()
    if gathered is None:
        return False
    with opened(order.events) as store:  # somebody may have been erased since
        return not store or store.changes(Marks(), with_users=False).marks.erasures == gathered.marks.erasures


def is_judged_against_current(work: Workspace, registry: Registry, before: str | None) -> bool:
    """Whether the version that a run began with is current still, or the run's own is already."""
    return registry.current() in (before, _version_of(work.artifact, registry))


def order_of_published(
    registry: Registry, run: Path | None, make: Callable[[str | None], Order]
) -> Order | None:
    """`make(before)` where that is the order of an interrupted run which has published; None where there is none.

    Its settings were those of the version `before`. Now the run's own version is current, whose settings have more
    decided: with these, the same command would be taken for another.
    """
    work = Workspace(run or registry.workspace)
    left, current = work.state(), registry.current()
    before = left.get("before")
    if not left or current is None or current != _version_of(work.artifact, registry):
        return None
    if before is not None and before not in registry.versions():
        return None
    order = make(before)
    return order if order.identity(before) == left.get("identity") else None


def _version_of(artifact: Path, registry: Registry) -> str | None:
    """The version that this artifact was published as; None where it was not."""
    manifest = artifact / MANIFEST
    if not manifest.exists():
        return None
    digest = digest_of(manifest.read_bytes())
    return next((name for name in registry.versions() if name.endswith(digest)), None)
