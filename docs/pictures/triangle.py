"""Draws triangle.svg: what liking the same item implies under the inner product, and under a metric.

python docs/pictures/triangle.py
"""

from __future__ import annotations

import math
from pathlib import Path

Point = tuple[float, float]

ITEM: Point = (0.0, 1.0)
LIKED_FROM = 0.5  # inner product with the item from which on a user likes it
RADIUS = 0.9  # distance to the item up to which a user likes it
FAR_APART: tuple[Point, Point] = ((-2.0, 0.8), (2.0, 0.8))
NEAR: tuple[Point, Point] = ((-0.5, 0.45), (0.72, 1.2))

SCALE, WIDTH, HEIGHT = 66.0, 360, 310
STYLE = """
text { font: 14px sans-serif; fill: #222 }
.title { font-weight: bold } .small { font-size: 12.5px }
.region { fill: #2a78b8; fill-opacity: .16 } .edge { stroke: #2a78b8; stroke-dasharray: 5 4 }
.axis { stroke: #bbb } .item { fill: #c44e2b } .user { fill: #1f5a8a }
.between { stroke: #1f5a8a; stroke-width: 1.5 }
"""


def inner(a: Point, b: Point) -> float:
    return a[0] * b[0] + a[1] * b[1]


def distance(a: Point, b: Point) -> float:
    return math.dist(a, b)


def place(point: Point, left: float) -> Point:
    """Where a point of the plane stands on the sheet, in a panel that begins at `left`."""
    return left + WIDTH / 2 + point[0] * SCALE, 232 - point[1] * SCALE


def panel(left: float, title: str, region: str, users: tuple[Point, Point], lines: list[str]) -> list[str]:
    (x1, y1), (x2, y2) = (place(user, left) for user in users)
    x, y = place(ITEM, left)
    ox, oy = place((0, 0), left)
    drawn = [
        region,
        f'<path class="axis" d="M{left + 14} {oy}H{left + WIDTH - 14}M{ox} 48V{oy + 12}"/>',
        f'<path class="between" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>',
        f'<circle class="item" cx="{x:.1f}" cy="{y:.1f}" r="6"/>',
        f'<text x="{x - 6:.1f}" y="{y - 13:.1f}" text-anchor="end">item</text>',
        f'<text class="title" x="{left + WIDTH / 2}" y="26" text-anchor="middle">{title}</text>',
    ]
    for name, (ux, uy), shift in (("a", (x1, y1), -15), ("b", (x2, y2), 8)):
        drawn.append(f'<circle class="user" cx="{ux:.1f}" cy="{uy:.1f}" r="5"/>')
        drawn.append(f'<text x="{ux + shift:.1f}" y="{uy - 8:.1f}">{name}</text>')
    drawn += [
        f'<text class="small" x="{left + WIDTH / 2}" y="{272 + 19 * row}" text-anchor="middle">{line}</text>'
        for row, line in enumerate(lines)
    ]
    return drawn


def inner_product_panel(left: float) -> list[str]:
    a, b = FAR_APART
    _, edge = place((0, LIKED_FROM), left)
    right = left + WIDTH - 14
    region = (
        f'<path class="region" d="M{left + 14} {edge}V48H{right}V{edge}Z"/>'
        f'<path class="edge" d="M{left + 14} {edge}H{right}"/>'
    )
    lines = [
        f"a · item = {inner(a, ITEM):.2f}, b · item = {inner(b, ITEM):.2f}: both like it",
        f"a · b = {inner(a, b):.2f}: they point apart",
    ]
    return panel(left, "inner product: a half-plane likes the item", region, FAR_APART, lines)


def metric_panel(left: float) -> list[str]:
    a, b = NEAR
    x, y = place(ITEM, left)
    region = f'<circle class="region edge" cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS * SCALE:.1f}"/>'
    lines = [
        f"d(a, item) = {distance(a, ITEM):.2f}, d(b, item) = {distance(b, ITEM):.2f}: both like it",
        f"d(a, b) = {distance(a, b):.2f}, at most {distance(a, ITEM) + distance(b, ITEM):.2f}: the triangle inequality",
    ]
    return panel(left, "metric: a ball likes the item", region, NEAR, lines)


def drawing() -> str:
    """The picture as SVG text."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}">',
        "<title>What liking the same item implies under the inner product and under a metric</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{2 * WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        *inner_product_panel(0),
        *metric_panel(WIDTH),
        "</svg>\n",
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(drawing(), encoding="utf-8")
