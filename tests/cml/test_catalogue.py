import tracemalloc
from datetime import UTC, date, datetime

import numpy as np
import pytest

from cml.arrays import read_arrays, write_arrays
from cml.catalogue import Catalogue
from cml.errors import DataError, QueryError

DAY = 86400.0


@pytest.fixture(params=["in memory", "read back"])
def films(request, tmp_path):
    catalogue = Catalogue.from_columns(
        5,
        {
            "title": ["Amélie", "Alien", None, "The Thing: Part 2", "Thing"],
            "genres": [["Comedy", "Romance"], ["Horror", "Sci-Fi"], [], ["Horror"], None],
            "year": [2001, 1979, float("nan"), 2011.5, 1982],
            "released": [
                date(2001, 4, 25),
                datetime(1979, 5, 25, 12, tzinfo=UTC),
                None,
                None,
                date(1982, 6, 25),
            ],
        },
    )
    if request.param == "read back":
        write_arrays(tmp_path / "catalogue.safetensors", catalogue.arrays())
        catalogue = Catalogue.from_arrays(read_arrays(tmp_path / "catalogue.safetensors"))
    return catalogue


def rows(catalogue, where):
    return np.flatnonzero(catalogue.matching(where)).tolist()


def test_a_record_shows_what_is_known_in_column_order(films):
    assert list(films.record(0).items()) == [
        ("title", "Amélie"),
        ("genres", ["Comedy", "Romance"]),
        ("year", 2001),
        ("released", "2001-04-25"),
    ]
    assert films.record(1)["released"] == "1979-05-25T12:00:00Z"
    assert films.record(2) == {}
    assert films.record(3)["year"] == 2011.5


def test_titles(films):
    assert [films.title(row) for row in range(5)] == ["Amélie", "Alien", None, "The Thing: Part 2", "Thing"]


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ({"genres": "Horror"}, [1, 3]),
        ({"genres": ["Comedy", "Sci-Fi"]}, [0, 1]),
        ({"genres": {"all": ["Horror", "Sci-Fi"]}}, [1]),
        ({"genres": {"none": ["Horror"]}}, [0, 2, 4]),
        ({"genres": {"any": ["Horror"], "none": ["Sci-Fi"]}}, [3]),
        ({"genres": {"any": []}}, []),
        ({"genres": {"all": []}}, [0, 1, 2, 3, 4]),
        ({"genres": "Western"}, []),
        ({"genres": {"none": "Western"}}, [0, 1, 2, 3, 4]),
        ({"year": {"min": 1982}}, [0, 3, 4]),
        ({"year": {"max": 1982}}, [1, 4]),
        ({"year": {"min": 1980, "max": 2001}}, [0, 4]),
        ({"year": 1979}, [1]),
        ({"year": [1979, 2001]}, [0, 1]),
        ({"year": {"none": [1979]}}, [0, 2, 3, 4]),
        ({"released": {"min": "1979-05-25T12:00:00Z"}}, [0, 1, 4]),
        ({"released": {"min": "1979-05-25T12:00:01+00:00"}}, [0, 4]),
        ({"released": {"max": "1979-05-25"}}, [1]),
        ({"released": "1979-05-25"}, [1]),
        ({"released": {"min": date(1982, 6, 25), "max": 988_156_800}}, [0, 4]),
        ({"genres": "Horror", "year": {"max": 1980}}, [1]),
        ({}, [0, 1, 2, 3, 4]),
    ],
)
def test_conditions_select(films, where, wanted):
    assert rows(films, where) == wanted


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ({"director": "Scott"}, "no such column; this catalogue has: title, genres, year, released"),
        ({"title": "Alien"}, "free text"),
        ({"genres": {"some": ["Horror"]}}, "any, all, none, not 'some'"),
        ({"genres": {}}, "empty object"),
        ({"genres": {"any": None}}, "takes a value or a list"),
        ({"year": {"min": "soon"}}, "'soon' is not a number"),
        ({"year": {"min": None}}, "None is not a number"),
        ({"released": {"max": "yesterday"}}, "'yesterday' is not a date"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused_with_the_column(films, where, complaint):
    with pytest.raises(QueryError, match=f"filter on '{next(iter(where))}': .*{complaint}"):
        films.matching(where)


def slow_union(values, wanted):
    """Who lies in one of the ranges, looked at one by one."""
    return [any(first <= value <= last for first, last in wanted) for value in values]


def test_many_numbers_and_days_select_what_each_of_them_selects():
    rng = np.random.default_rng(0)
    years = [*rng.integers(0, 60, 200).tolist(), float("nan"), -5.5, 1e300]
    days = [*(rng.integers(0, 120, 200) * DAY / 4).tolist(), float("nan"), 0.25, 86399.5]
    both = Catalogue.from_columns(len(years), {"year": years, "day": days}, {"day": "date"})
    for n in (0, 1, 2, 30):
        asked = rng.integers(0, 60, n).tolist()
        dates = [f"1970-01-{1 + one % 28:02}" for one in asked]
        seconds = [(one % 28) * DAY for one in asked]
        in_years = slow_union(years, [(one, one) for one in asked])
        dates += [f"{day}T12:00:00" for day in dates[: n // 2]]  # moments within those days
        in_days = slow_union(days, [(one, np.nextafter(one + DAY, 0)) for one in seconds])
        assert both.matching({"year": asked}).tolist() == in_years
        assert both.matching({"day": dates}).tolist() == in_days
        assert both.matching({"day": {"none": dates}}).tolist() == [not one for one in in_days]


@pytest.mark.parametrize("condition", ["any", "all", "none"])
def test_memory_does_not_grow_with_the_values_of_a_condition(condition):
    n = 50_000
    films = Catalogue.from_columns(n, {"genres": [["a", "b"]] * n, "year": [2000] * n})
    tags = {"any": ["b"] * 2000, "all": ["a", "b"] * 1000, "none": [f"no {tag}" for tag in range(2000)]}
    tracemalloc.start()
    try:
        assert films.matching({"genres": {condition: tags[condition]}}).all()
        assert films.matching({"year": {"any": list(range(1000, 3000))}}).all()
        assert tracemalloc.get_traced_memory()[1] < 60 * n  # one mask for each value would be 2000 * n
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("thing", [4, 3]),
        ("THING part", [3]),
        ("part thing", [3]),
        ("amelie", [0]),
        ("al", [1]),
        ("lie", [1, 0]),
        ("the thing part 2", [3]),
        ("2", [3]),
        ("nothing", []),
        ("  ", []),
        ("(.*", []),
    ],
)
def test_titles_are_found_by_their_words(films, query, wanted):
    assert films.search_titles(query, 10) == wanted


def test_title_search_keeps_to_its_limit_and_finds_an_exact_title_among_many():
    catalogue = Catalogue.from_columns(9000, {"title": [f"Episode {n} of It" for n in range(8999)] + ["It"]})
    assert catalogue.search_titles("it", 3) == [8999, 0, 1]
    assert catalogue.search_titles("episode 8998", 1) == [8998]
    assert catalogue.search_titles("8997 of episode", 1) == [8997]


def test_availability_is_open_where_no_date_stands():
    catalogue = Catalogue.from_columns(
        4,
        {
            "available_from": [None, 10 * DAY, 30 * DAY, None],
            "available_until": [None, 20 * DAY, None, 20 * DAY],
        },
        kinds={"available_from": "date", "available_until": "date"},
    )
    assert catalogue.available(15 * DAY).tolist() == [True, True, False, True]
    assert catalogue.available("1970-01-21").tolist() == [True, False, False, False]
    assert catalogue.available(30 * DAY).tolist() == [True, False, True, False]
    assert Catalogue.empty(4).available(0) is None


def test_an_empty_catalogue_knows_its_size_only():
    catalogue = Catalogue.from_arrays(Catalogue.empty(3).arrays())
    assert catalogue.n_items == 3
    assert catalogue.record(2) == {}
    assert catalogue.title(2) is None
    assert catalogue.search_titles("x", 5) == []


def test_column_names_may_contain_anything():
    catalogue = Catalogue.from_columns(1, {"a:b": [1], "é/ü": ["x"], "": [["t"]]})
    again = Catalogue.from_arrays(catalogue.arrays())
    assert again.record(0) == {"a:b": 1, "é/ü": "x", "": ["t"]}


@pytest.mark.parametrize(
    ("columns", "kinds", "complaint"),
    [
        ({"year": [1]}, {}, "1 values for 2 items"),
        ({"year": [1, "x"]}, {}, "'year' of kind number"),
        ({"year": [1, 2]}, {"year": "integer"}, "kind 'integer' is not one of text, tags, number, date"),
        ({"when": ["2001-01-01", "someday"]}, {"when": "date"}, "'when' of kind date"),
    ],
)
def test_metadata_that_does_not_fit_is_refused_by_column(columns, kinds, complaint):
    with pytest.raises(DataError, match=complaint):
        Catalogue.from_columns(2, columns, kinds)
