"""The picture of two catalogues: axes that show the gap, and every item where its place says."""

from __future__ import annotations

import numpy as np

from cml.evaluation.domain_picture import figure_of, plane
from cml.evaluation.domains import DomainReport, Sight


def sight(shift: float, *, along: int = 1, n: int = 30, m: int = 20) -> Sight:
    """Two clouds in four dimensions, wide along the third, the target shifted from the source, far from the centre."""
    rng = np.random.default_rng(0)
    wide = np.array([0.1, 0.1, 2.0, 0.1])
    source, target = rng.normal(size=(n, 4)) * wide, rng.normal(size=(m, 4)) * wide
    centre = np.array([0.0, 0.0, 0.0, 5.0])
    source -= source.mean(axis=0) - centre
    target -= target.mean(axis=0) - centre - shift * np.eye(4)[along]
    return Sight(source, target, DomainReport(0.5, shift, 1.0, 0.1), shift)


def test_the_first_axis_is_the_gap_before_and_the_second_the_widest_across_it() -> None:
    axes = plane(sight(3.0), sight(0.5, along=0))
    np.testing.assert_allclose(axes[:, 0], [0, 1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(np.abs(axes[:, 1]), [0, 0, 1, 0], atol=0.05)
    np.testing.assert_allclose(axes.T @ axes, np.eye(2), atol=1e-9)
    same = plane(sight(0.0), sight(0.0))
    np.testing.assert_allclose(same.T @ same, np.eye(2), atol=1e-9)


def test_items_stand_where_their_places_say_before_left_and_after_right() -> None:
    before, after = sight(3.0), sight(0.5)
    figure = figure_of(before, after)
    panels = figure.axes[2:]
    axes = plane(before, after)
    for panel, seen in zip(panels, (before, after), strict=True):
        drawn = {each.get_label(): np.asarray(each.get_offsets()) for each in panel.collections}
        assert set(drawn) == {"source, 30", "target, 20"}
        np.testing.assert_allclose(drawn["source, 30"], seen.source @ axes)
        np.testing.assert_allclose(drawn["target, 20"], seen.target @ axes)
    assert panels[0].get_xlim() == panels[1].get_xlim()
    assert "W1 3.0000" in figure.axes[0].get_title()
    assert "W1 0.5000" in figure.axes[1].get_title()
