"""Each experiment shows what its text claims, and each picture and page can be made."""

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from adversarial import methods
from adversarial.cli import cli
from adversarial.errors import SettingError
from adversarial.experiments import adaptation, clipping, generators, identities, surfaces, vanishing
from adversarial.experiments.catalogue import EXPERIMENTS, NAMES


def test_the_identities_hold_and_js_is_flat_where_w_grows():
    result = identities.run(effort=0.2)
    assert result.value_error < 1e-12
    assert result.gradient_error < 1e-12
    assert result.jensen_shannon[1:] == pytest.approx(np.log(2), abs=1e-6)
    assert result.wasserstein == pytest.approx(result.shifts)
    assert result.missing_mode[0] < 1 < result.invented_mode[0]


@pytest.mark.slow
def test_the_saturating_gradient_collapses_and_the_repaired_one_grows_with_its_variance():
    result = vanishing.run(effort=0.3)
    assert result.saturating.shape == (3, len(result.iterations))
    assert (result.saturating[:, -1] < 1e-3 * result.saturating[:, 0]).all()
    assert (result.non_saturating[:, -1] > 5 * result.non_saturating[:, 0]).all()
    assert (result.variance[:, -1] > 5 * result.variance[:, 0]).all()


@pytest.mark.slow
def test_clipped_weights_pile_up_and_gradients_depend_on_the_bound_but_the_penalty_does_neither():
    result = clipping.run(effort=0.12)
    ratios = {name: norms[0] / norms[-1] for name, norms in result.gradients.items()}
    assert ratios["clipped at 0.1"] > 100
    assert ratios["clipped at 0.01"] < 1e-6
    assert 0.01 < ratios["gradient penalty"] < 100
    assert clipping.share_at_bounds(result) > 0.5
    penalised = np.abs(result.weights["gradient penalty"])
    assert (penalised > 0.99 * penalised.max()).mean() < 0.01


@pytest.mark.slow
def test_penalised_critics_have_slopes_near_one_and_clipped_ones_are_almost_flat():
    result = surfaces.run(effort=0.07)
    slopes = {k: [np.median(s.slopes) for s in worlds.values()] for k, worlds in result.surfaces.items()}
    assert len(slopes["gradient penalty"]) == 3
    assert all(0.7 < slope < 1.3 for slope in slopes["gradient penalty"])
    assert all(slope < 0.1 for slope in slopes["clipped at 0.01"])
    eight = result.surfaces["gradient penalty"]["8gaussians"]
    at_modes, between = (_on_the_circle(eight, turn) for turn in (0.0, 0.5))
    assert at_modes.min() > between.max()
    assert eight.scores.max() > at_modes.max()


def _on_the_circle(surface, turn):
    """Scores at the eight modes, or `turn` of the way to the next one."""
    angle = (np.arange(8) + turn) * 2 * np.pi / 8
    places = np.sqrt(2) * np.stack([np.sin(angle), np.cos(angle)])
    rows, columns = np.rint((places / surfaces.LIMIT + 1) / 2 * (surfaces.GRID - 1)).astype(int)
    return surface.scores[rows, columns]


def test_generators_are_judged_against_the_sampling_floor():
    result = generators.run(effort=1e-9, width=8, sample=100)
    for world in generators.WORLD_NAMES:
        assert 0 < result.floors[world] < 0.6
        for course in result.courses[world].values():
            assert course.steps[-1] == 2
            assert course.distances.min() > result.floors[world]
            assert course.sample.shape == (100, 2)


def test_the_legend_lies_above_the_curves_that_it_names():
    flat = generators.Course(np.arange(1, 21), np.full(20, 0.7), np.zeros((10, 2)), 8)
    courses = {name: dict.fromkeys(methods.PLANAR_METHODS, flat) for name in generators.WORLD_NAMES}
    figure = generators.draw(generators.Result(courses, dict.fromkeys(generators.WORLD_NAMES, 0.1)))
    figure.canvas.draw()
    (axes,) = [axes for axes in figure.axes if axes.get_legend() is not None]
    _, height = axes.transData.transform((0, 0.7))
    assert axes.get_legend().get_window_extent().y0 > height


@pytest.mark.slow
def test_adaptation_closes_the_gap_and_keeps_the_classes():
    result = adaptation.run(effort=0.3)
    assert result.target_accuracy[-1] > result.source_only_accuracy + 0.2
    assert result.a_distance[-1] < result.a_distance[0] - 0.5
    assert len(result.steps) == len(result.gap) == len(result.target_accuracy) == len(result.a_distance)
    assert result.after[1].std(axis=0).min() > 0.05


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_draws_a_picture_and_says_what_is_seen(name, tmp_path):
    experiment = EXPERIMENTS[name]
    small = {"width": 8, "sample": 50} if name == "generators" else {}
    result = experiment.run(seed=1, effort=1e-9, **small)
    figure = experiment.draw(result)
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5000
    assert len(experiment.text(result)) > 200


def test_the_report_is_one_page_with_its_pictures_beside_it(tmp_path):
    arguments = ["report", "--out", tmp_path / "r", "--only", "identities", "--effort", "0.1"]
    result = CliRunner().invoke(cli, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    page = (tmp_path / "r" / "index.html").read_text()
    assert 'src="identities.png"' in page
    assert "log 2 = 0.693" in page
    assert "adversarial experiment identities --out DIR --seed 0 --effort 0.1" in page
    assert "http" not in page  # nothing is fetched
    assert (tmp_path / "r" / "identities.png").exists()


def test_an_experiment_can_be_run_alone(tmp_path):
    result = CliRunner().invoke(cli, ["experiment", "identities", "--out", str(tmp_path), "--effort", "0.1"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "identities.png").exists()


def test_show_opens_the_picture(monkeypatch):
    opened = []
    monkeypatch.setattr("click.launch", opened.append)
    assert CliRunner().invoke(cli, ["experiment", "identities", "--show", "--effort", "0.1"]).exit_code == 0
    assert opened[0].endswith("identities.png")


def test_a_picture_that_goes_nowhere_is_refused():
    result = CliRunner().invoke(cli, ["experiment", "identities"])
    assert isinstance(result.exception, SettingError)
