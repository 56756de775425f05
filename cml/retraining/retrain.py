"""One round: gather, learn, judge against the version that answers now, publish or refuse. Each step is resumable."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from cml.artifact import Artifact, write
from cml.content import Content
from cml.data.dataset import Dataset
from cml.errors import ConfigError, EventStoreError, RegistryError
from cml.events.meaning import learned_by
from cml.events.values import Marks
from cml.growth import with_added
from cml.manifest import MANIFEST
from cml.registry import Registry
from cml.retraining import past, report
from cml.retraining.gate import Verdict, decide, means_of_baselines, seen_by
from cml.retraining.interactions import Gathered, gather, opened
from cml.retraining.learning import Learner
from cml.retraining.order import Order
from cml.retraining.parts import Parts, parts
from cml.retraining.publishing import FILE_PAIRS, content_of, reader, told, user_reader
from cml.retraining.resuming import goes_on, is_judged_against_current
from cml.retraining.workspace import Workspace
from cml.training.history import Epoch

PUBLISHED, REFUSED, NOTHING_NEW = "published", "refused", "nothing new"


@dataclass(frozen=True)
class Retraining:
    """What came of it, and the report, which stands at `report_file` as well."""

    outcome: str  # PUBLISHED, REFUSED or NOTHING_NEW
    version: str | None  # the new current one
    before: str | None  # the version that was current
    verdict: Verdict | None
    report: dict[str, Any]
    report_file: str


@dataclass(frozen=True)
class _Round:
    """A round under way."""

    registry: Registry
    order: Order
    work: Workspace
    before: str | None
    started_at: float
    identity: str
    listen: Callable[[Epoch], None]
    tell: Callable[[str], None]
    still_alone: Callable[[], None]  # raises LockedError where another one has taken over


def retrain(
    registry: Registry,
    order: Order,
    *,
    run: Path | None = None,
    restart: bool = False,
    clock: Callable[[], float] = time.time,
    listen: Callable[[Epoch], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Retraining:
    """Learn from the files and the event store, and publish what is no worse than the current version.

    The candidate and the current version are judged on the same latest pairs, which neither has seen; what is
    published has then learned from everything. run: keep the artifact and the report here. restart: do not go on
    with an interrupted run. Raises LockedError while another retraining is at work, and CmlError.
    """
    with registry.alone(tell) as still_alone:
        past.read(registry)  # what cannot be read takes no line, which must not come out after publishing
        work = Workspace(run or registry.workspace)
        begun = _begin(registry, order, work, restart, clock, listen, tell, still_alone)
        done = _go(begun, clock)
        begun.work.finish(keep=run is not None)
        return done


def _begin(
    registry: Registry,
    order: Order,
    work: Workspace,
    restart: bool,
    clock: Callable[[], float],
    listen: Callable[[Epoch], None],
    tell: Callable[[str], None],
    still_alone: Callable[[], None],
) -> _Round:
    """Go on with the run that was interrupted, if it is this one; else begin."""
    if not restart and goes_on(work, order, registry):
        tell("going on with an interrupted run")
        state = work.state()
    else:
        before = registry.current()
        state = {"identity": order.identity(before), "before": before, "started_at": clock()}
        work.begin(state)
    return _Round(
        registry,
        order,
        work,
        state["before"],
        state["started_at"],
        state["identity"],
        listen,
        tell,
        still_alone,
    )


def _go(begun: _Round, clock: Callable[[], float]) -> Retraining:
    current = begun.registry.load(begun.before) if begun.before else None
    _require_files(begun.order, current)
    _require_events(begun.order, current)
    least = 0 if begun.order.force else _file_pairs(current) / 2
    gathered = begun.work.gathered_once(lambda: _gather(begun.order, begun.started_at, least))
    for reject in gathered.rejected:
        begun.tell(f"rejected: {reject}")
    unseen = ~seen_by(current, gathered.data) if current is not None else np.ones(len(gathered.data), bool)
    new = int((gathered.data.liked & unseen).sum())
    forgotten = _has_erased(current, gathered.data)
    if new < begun.order.min_new and not (begun.order.force or forgotten):
        said = begun.work.once("outcome", lambda: _nothing_new(new, begun.order.min_new, begun.before))
    else:
        said = _round(begun, current, gathered, unseen)
    return _told(begun, gathered, new, said, clock)


def _round(begun: _Round, current: Artifact | None, gathered: Gathered, unseen: Any) -> dict[str, Any]:
    """Learn, judge, and publish if the candidate holds; what came of it as plain JSON values."""
    order, data = begun.order, gathered.data
    comparable = current is not None and bool((data.liked & unseen).any())
    held = parts(data, unseen if comparable else np.ones(len(data), bool), order.judge_share)
    warm = current if comparable and not order.cold else None
    catalogue, users = reader(order, current, gathered.items), user_reader(order)
    others = told(current, gathered.items)
    learner = Learner(begun.work, begun.identity, order.config, warm, begun.listen, catalogue, others, users)
    chosen = learner.choose(held)
    rest = held.rest.compact()
    space = learner.learn("candidate", rest, chosen)
    candidate = content_of(rest, space, learner.settings(rest, chosen), {}, gathered)
    said = begun.work.once("judged", lambda: _judge(begun, candidate, current, held))
    if not said["verdict"]["accepted"]:
        return said | {"outcome": REFUSED, "version": None, "chosen": chosen, "warm": warm is not None}
    space, moved = learner.turned(learner.learn("final", data, chosen), data, current)
    if not (begun.work.artifact / MANIFEST).exists():
        settings = learner.settings(data, chosen)
        made = content_of(data, space, settings, chosen["metrics"], gathered, catalogue, others, users)
        over_http = {state.item_id: state.said for state in gathered.items}
        made = with_added(made, current, over_http) if current is not None else made
        created = datetime.fromtimestamp(begun.started_at, UTC)
        write(made, begun.work.artifact, created_at=created)
    begun.still_alone()
    _require_same_current(begun)
    version = begun.registry.publish(begun.work.artifact)
    return said | {
        "outcome": PUBLISHED,
        "version": version,
        "chosen": chosen,
        "warm": warm is not None,
        "displacement": moved.as_dict(),
    }


def _require_same_current(begun: _Round) -> None:
    """What somebody made current meanwhile (a rollback, say) must not give way to what was judged against another."""
    if not is_judged_against_current(begun.work, begun.registry, begun.before):
        raise RegistryError(
            f"{begun.registry.place}: {begun.registry.current()} was made current while this retraining judged against "
            f"{begun.before or 'nothing'}: not published; run the same command again"
        )


def _judge(begun: _Round, candidate: Content, current: Content | None, held: Parts) -> dict[str, Any]:
    rule, config = begun.order.rule, begun.order.config
    verdict = decide(candidate, current, held.judged, rule, config.rng("gate"), threads=config.threads)
    return {
        "verdict": verdict.as_dict(),
        "baselines": means_of_baselines(candidate, held.judged, rule.metric),
        "judged_pairs": len(held.judged),
        "chosen_on_pairs": len(held.choose),
        "cold_users": past.cold_share(held.judged, candidate.users),
        "popularity_shift": past.popularity_shift(held.rest, held.judged),
    }


def _nothing_new(new: int, least: int, before: str | None) -> dict[str, Any]:
    reason = f"{new:,} liked pairs that {before or 'nobody'} has not seen, {least:,} wanted"
    return {"outcome": NOTHING_NEW, "version": None, "reason": reason}


def _told(
    begun: _Round,
    gathered: Gathered,
    new: int,
    said: dict[str, Any],
    clock: Callable[[], float],
) -> Retraining:
    """Write the report and the line of the history, once however often the run was interrupted."""
    verdict = Verdict.from_dict(said["verdict"]) if "verdict" in said else None
    document = {
        "run": begun.identity[:12],
        "started_at": datetime.fromtimestamp(begun.started_at, UTC).isoformat(timespec="seconds"),
        "seconds": round(max(clock() - begun.started_at, 0.0), 3),
        "before": begun.before,
        "reason": verdict.reason if verdict else said["reason"],
        "data": {
            "users": gathered.data.n_users,
            "items": gathered.data.n_items,
            "pairs": len(gathered.data),
            "liked": int(gathered.data.liked.sum()),
            "new": new,
            "events": gathered.events,
            "file_pairs": gathered.file_pairs,
            "erased_users": gathered.erased_users,
        },
    } | {name: value for name, value in said.items() if name != "reason"}
    file = report.write(begun.work.root, begun.registry, document)
    past.append(begun.registry, document)
    return Retraining(said["outcome"], said["version"], begun.before, verdict, document, file)


def _require_files(order: Order, current: Content | None) -> None:
    """A version that learned from files must not be replaced by one that forgot them for want of an option."""
    pairs = _file_pairs(current)
    if pairs and not order.files and not order.events_only:
        raise ConfigError(
            f"the current version learned from files, too ({pairs:,} pairs): give them with --train, or say "
            "--events-only to learn from the event store alone"
        )


def _file_pairs(current: Content | None) -> int:
    """How many pairs of files the version learned from."""
    return int(current.data.get(FILE_PAIRS, len(current.seen_items))) if current is not None else 0


def _require_events(order: Order, current: Content | None) -> None:
    """A version that learned from events must not be replaced by one that forgot them because a store is gone."""
    learned = learned_by(current.data) if current is not None else Marks()
    if not order.events:
        if learned.events and not order.no_events:
            raise ConfigError(
                f"the current version learned from events, too (through number {learned.events:,}): say where they are "
                "with --events, or --no-events to forget them"
            )
        return
    with opened(order.events) as store:
        assert store is not None
        wrong = store.complaint
        if not wrong and store.is_behind(learned):
            wrong = (
                f"{store} is a new database, or an older one: the current version has learned from events through "
                f"number {learned.events:,} and knows of {learned.erasures:,} erasures. Name the right one, or restore "
                "a backup (`cml events restore`)"
            )
    if wrong:
        raise EventStoreError(f"{wrong}; to forget what the events said, say --no-events")


def _has_erased(current: Content | None, data: Dataset) -> bool:
    """Whether the current version knows users who are gone from the data."""
    return current is not None and any(user not in data.users for user in current.users)


def _gather(order: Order, now: float, least: float) -> Gathered:
    with opened(order.events) as store:
        return gather(order.files, store, order.config.data, now, least=least, strict=order.strict)
