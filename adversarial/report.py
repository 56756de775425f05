"""One HTML page with every picture, what is seen in it, and the numbers of that run."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from adversarial.experiments.catalogue import EXPERIMENTS, Experiment


@dataclass(frozen=True)
class Section:
    """One experiment, done."""

    experiment: Experiment
    picture: Path
    text: str


def perform(name: str, out: Path, *, seed: int, effort: float) -> Section:
    """Run one experiment and write OUT/NAME.png. effort: share of the full number of training steps."""
    experiment = EXPERIMENTS[name]
    result = experiment.run(seed=seed, effort=effort)
    out.mkdir(parents=True, exist_ok=True)
    picture = out / f"{name}.png"
    experiment.draw(result).savefig(picture)
    return Section(experiment, picture, experiment.text(result))


def write(
    out: Path,
    names: Sequence[str],
    *,
    seed: int,
    effort: float,
    observe: Callable[[Section], None] | None = None,
) -> Path:
    """Run the named experiments, write their pictures and OUT/index.html; returns the page."""
    sections = []
    for name in names:
        sections.append(perform(name, out, seed=seed, effort=effort))
        if observe is not None:
            observe(sections[-1])
    page = out / "index.html"
    page.write_text(_page(sections, seed, effort), encoding="utf-8")
    return page


def _page(sections: Sequence[Section], seed: int, effort: float) -> str:
    return _FRAME.format(
        contents="\n".join(
            f'<li><a href="#{s.experiment.name}">{_safe(s.experiment.title)}</a></li>' for s in sections
        ),
        sections="\n".join(_section(section, f" --seed {seed} --effort {effort:g}") for section in sections),
        made=f"Seed {seed}, {100 * effort:g} % of the full number of steps.",
    )


def _section(section: Section, options: str) -> str:
    title, name = _safe(section.experiment.title), section.experiment.name
    return (
        f'<section id="{name}"><h2>{title}</h2>\n'
        f'<img src="{section.picture.name}" alt="{title}">\n'
        f"<p>{_safe(section.text)}</p>\n"
        f"<p class=again>Again: <code>adversarial experiment {name} --out DIR{options}</code></p></section>"
    )


def _safe(text: str) -> str:
    return html.escape(text)


_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>From a GAN's failure to domain-adapted features</title>
<style>
body {{ font: 16px/1.55 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
img {{ width: 100%; height: auto; }}
p, ol {{ max-width: 46rem; }}
h2 {{ margin-top: 3rem; }}
.again {{ color: #666; font-size: 0.85rem; }}
</style>
</head>
<body>
<h1>From a GAN's failure to domain-adapted features</h1>
<p>A GAN's generator learns from how well a discriminator tells its samples from real ones. The better the
discriminator, the less it teaches. Measuring a distance that grows when samples are further away repairs this, if
the critic that measures it is kept from being too steep. The same critic can then make the features of two domains
alike, so that what was learned on one holds on the other.</p>
<ol>
{contents}
</ol>
{sections}
<p class=again>{made}</p>
</body>
</html>
"""
