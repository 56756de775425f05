"""`cml data`: look at interaction files before training, hold items out, and fetch public data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import orjson

from cml.commands.options import ReadingFlags, items_options, reading_options

if TYPE_CHECKING:
    from tqdm import tqdm

    from cml.data.items import ItemReport
    from cml.data.reading import ReadReport

FILE = click.Path(path_type=Path)


@click.group()
def command() -> None:
    """Check interaction files, hold items out, and fetch public data sets."""


@command.command()
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...")
@items_options
@reading_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(
    files: tuple[Path, ...],
    items: Path | None,
    item_kinds: dict[str, str],
    reading: ReadingFlags,
    as_json: bool,
) -> None:
    """Read FILE... as training would, and say what is in them and what cannot be used."""
    from cml.data.items import read_item_table
    from cml.data.reading import read_interactions
    from cml.data.summary import summarise

    read = read_interactions(files, reading.applied_to(), strict=reading.strict)
    table = None
    if items:
        table = read_item_table(items, read.dataset.items, kinds=item_kinds, strict=reading.strict).report
    summary = summarise(read.dataset)
    if as_json:
        found = {"reading": read.report.as_dict(), "summary": summary}
        click.echo(orjson.dumps(found | ({"items": table.as_dict()} if table else {})))
        return
    lines = [*_of_reading(read.report), *_of_summary(summary), *(_of_items(table) if table else [])]
    click.echo("\n".join(lines))


@command.command()
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--cold-items",
    "share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    required=False,
    help="Share of the items to hold out.",
)
@click.option(
    "--by",
    type=click.Choice(["random", "first-time"]),
    default="random",
    show_default=True,
    help="Which items: drawn, or those that somebody first met latest.",
)
@click.option(
    "--where", default=None, metavar="JSON", help="Instead: the items of --items that satisfy this."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the draw.")
@click.option("--out", type=FILE, required=True, help="Folder for train.csv and cold.csv.")
@items_options
@reading_options
def split(
    files: tuple[Path, ...],
    share: float | None,
    by: str,
    where: str | None,
    seed: int,
    out: Path,
    items: Path | None,
    item_kinds: dict[str, str],
    reading: ReadingFlags,
) -> None:
    """Hold out whole items: OUT/train.csv has no pair of them, OUT/cold.csv their liked pairs.

    Both hold liked pairs only, so neither needs a threshold again.
    """
    import numpy as np

    from cml.data.cold_split import latest_items, random_items, split_items, write_pairs
    from cml.data.items import read_items
    from cml.data.reading import read_interactions

    if (share is None) == (where is None) or (where is not None and items is None):
        raise click.UsageError("give --cold-items SHARE, or --where CONDITION together with --items FILE")
    dataset = read_interactions(files, reading.applied_to(), strict=reading.strict).dataset
    if where is not None and items is not None:
        cold = read_items(items, dataset.items, kinds=item_kinds).matching(_condition(where))
    elif by == "random":
        cold = random_items(dataset.n_items, share or 0, np.random.default_rng(seed))
    else:
        cold = latest_items(dataset, share or 0)
    parts = split_items(dataset, cold)
    out.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", parts.train), ("cold", parts.held_out)):
        write_pairs(out / f"{name}.csv", part)
        click.echo(f"{out / name}.csv: {int(part.liked.sum()):,} liked pairs")


def _condition(text: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise click.BadParameter(f"--where {text!r}: not JSON: {error}") from None
    if not isinstance(found, dict):
        raise click.BadParameter(f"""--where {text!r}: expected an object, like '{{"genres": "Horror"}}'""")
    return found


@command.command("list")
def list_sources() -> None:
    """List the public data sets that `cml data fetch` knows."""
    from cml.data.sources import SOURCES

    for source in SOURCES.values():
        size = sum(download.size or 0 for download in source.downloads)
        click.echo(f"{source.name:<20} {_bytes(size) if size else '':>8}  {source.terms}")


@command.command()
@click.argument("name")
@click.option("--into", type=FILE, default=Path("data"), help="Folder for data sets.  [default: data]")
@click.option("--category", default=None, help="Product category, for amazon-reviews-2023.")
@click.option("--no-verify", is_flag=True, help="Accept a download whose checksum differs.")
def fetch(name: str, into: Path, category: str | None, no_verify: bool) -> None:
    """Download the public data set NAME, check it, and unpack it."""
    from cml.data.fetch import fetch as fetch_source
    from cml.data.fetch import find_source

    source = find_source(name, category)
    click.echo(f"{source.name}: {source.terms}", err=True)
    with _ProgressBars() as bars:
        fetched = fetch_source(source, into, verify=not no_verify, progress=bars.show)
    click.echo(f"{'in' if fetched.downloaded else 'already in'} {fetched.folder}")
    items = f" --items {fetched.items}" if fetched.items else ""
    click.echo(
        f"try: cml train --train {fetched.interactions}{items} {source.reading} --out runs/{source.name}"
    )


class _ProgressBars:
    """One bar a file on standard error; none where nobody watches."""

    def __init__(self) -> None:
        self._bars: dict[str, tqdm[NoReturn]] = {}

    def __enter__(self) -> _ProgressBars:
        return self

    def __exit__(self, *_: object) -> None:
        for bar in self._bars.values():
            bar.close()

    def show(self, name: str, done: int, total: int | None) -> None:
        if name not in self._bars:
            from tqdm import tqdm

            # `disable=None`: silent unless standard error is a terminal.
            self._bars[name] = tqdm(desc=name, total=total, unit="B", unit_scale=True, disable=None)
        self._bars[name].update(done - self._bars[name].n)


def _of_reading(report: ReadReport) -> list[str]:
    lines = [f"{path}: {layout}" for path, layout in report.files.items()]
    lines.append(
        f"rows        {report.rows:,}, of which {len(report.rejects):,} rejected, {report.merged:,} merged"
    )
    lines += [f"  {line}" for line in report.rejects.lines()]
    if report.dropped_pairs:
        lines.append(
            f"left out    {report.dropped_pairs:,} pairs of {report.dropped_users:,} users and "
            f"{report.dropped_items:,} items with too few likes"
        )
    return lines


def _of_summary(summary: dict[str, Any]) -> list[str]:
    head, tail, time = summary["head"], summary["tail"], summary["time"]
    most = ", ".join(f"{entry['item_id']} ({entry['likes']:,})" for entry in head["most_liked"])
    return [
        f"pairs       {summary['pairs']:,}: {summary['liked']:,} liked, {summary['disliked']:,} disliked, "
        f"{summary['only_seen']:,} only seen",
        f"users       {summary['users']:,}, likes each: {_spread(summary['likes_per_user'])}",
        f"items       {summary['items']:,}, likes each: {_spread(summary['likes_per_item'])}",
        f"density     {summary['density']:.4%} of all pairs are liked",
        f"head        the top 1 % of items get {head['share_of_top_1_percent']:.1%} of the likes, "
        f"the top 10 % {head['share_of_top_10_percent']:.1%}; most liked: {most}",
        f"tail        {tail['items_with_1_like']:,} items with one like, "
        f"{tail['items_below_5_likes']:,} with fewer than 5",
        f"time        {time['first']} to {time['last']}, {time['pairs_without']:,} pairs without"
        if time["first"]
        else "time        unknown: no timestamps",
    ]


def _of_items(report: ItemReport) -> list[str]:
    kinds = ", ".join(f"{name} ({kind})" for name, kind in report.kinds.items())
    return [
        f"item table  {report.layout}, {report.rows:,} rows: {report.matched:,} of the items described, "
        f"{report.unmatched:,} not; {report.unused:,} rows of other items",
        f"  columns   {kinds}",
        *(f"  {line}" for line in report.rejects.lines()),
        *(
            f"  {name}: {len(values):,} values left out, not a {report.kinds[name]}: {', '.join(values[:3])}"
            for name, values in report.unreadable.items()
        ),
    ]


def _spread(counts: dict[str, float]) -> str:
    return f"{counts['min']:,} to {counts['max']:,}, median {counts['median']:g}, mean {counts['mean']:.1f}"


def _bytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
