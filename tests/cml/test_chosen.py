import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cml.chosen import Chosen

N = 300
SETS = st.sets(st.integers(0, N - 1), max_size=18) | st.sets(st.integers(0, N - 1), min_size=20)


def chosen(rows, n=N):
    return Chosen.of_rows(np.array(sorted(rows), dtype=np.int64), n)


@given(SETS)
def test_a_set_of_rows_says_the_same_in_every_form(wanted):
    mask = np.isin(np.arange(N), list(wanted))
    for one in (chosen(wanted), Chosen.of_mask(mask)):
        assert one.rows().tolist() == sorted(wanted)
        assert one.mask().tolist() == mask.tolist()
        assert one.has(np.arange(N)[::-1]).tolist() == mask[::-1].tolist()


@given(SETS, SETS)
def test_both_sets_together_keep_what_is_in_both(first, second):
    both = chosen(first) & chosen(second)
    assert both.rows().tolist() == sorted(first & second)
    assert both.mask().sum() == len(first & second)


@given(SETS, st.lists(st.booleans(), max_size=400))
def test_further_rows_come_after_the_others(wanted, more):
    longer = chosen(wanted).followed_by(np.array(more, dtype=bool))
    assert longer.n == N + len(more)
    assert longer.rows().tolist() == sorted(wanted) + [N + at for at, true in enumerate(more) if true]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.06, 0.07, 0.5, 1.0])
def test_no_set_takes_more_than_two_bits_for_each_item(share):
    mask = np.random.default_rng(0).random(80_000) < share
    one = Chosen.of_mask(mask)
    held = sum(part.nbytes for part in (one._rows, one._bits) if part is not None)
    assert held <= 20_000
