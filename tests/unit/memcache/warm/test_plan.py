from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from elastic_images.memcache.warm.plan import Listed, plan_pull

entries = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)), max_size=30, unique_by=lambda entry: entry[0])


def listed(source: int, *entries: tuple[int, int]) -> list[Listed]:
    return [Listed(-float(age), f"{source}-{age}", size, source) for age, size in entries]


@given(entries, entries, st.integers(0, 120))
def test_the_hottest_that_fit_remain_and_nothing_else(
    own: list[tuple[int, int]], offered: list[tuple[int, int]], capacity: int
) -> None:
    mine, theirs = listed(0, *own), listed(1, *offered)
    plan = plan_pull(mine, theirs, capacity)
    everything = sorted([*mine, *theirs], key=lambda entry: (-entry.rank, entry.source))
    fits, used = [], 0
    for entry in everything:
        if used + entry.size_bytes > capacity:
            break
        fits.append(entry)
        used += entry.size_bytes
    assert list(plan.wanted) == [entry for entry in fits if entry.source == 1]
    kept = {entry.key for entry in mine} - set(plan.demoted)
    assert kept <= {entry.key for entry in fits}
    assert (plan.cut is None) == (len(fits) == len(everything))
    if plan.cut is not None:
        assert all(entry.rank >= plan.cut for entry in fits)


def test_the_coldest_goes_first() -> None:
    plan = plan_pull(listed(0, (1, 5), (7, 5), (9, 5)), listed(1, (2, 5)), 10)
    assert [entry.key for entry in plan.wanted] == ["1-2"]
    assert plan.demoted == ("0-9", "0-7")
    assert plan.cut == -7.0


def test_where_all_fits_all_is_wanted() -> None:
    plan = plan_pull(listed(0, (1, 5)), listed(1, (2, 5), (0, 5)), 15)
    assert [entry.key for entry in plan.wanted] == ["1-0", "1-2"]
    assert (plan.demoted, plan.cut) == ((), None)
