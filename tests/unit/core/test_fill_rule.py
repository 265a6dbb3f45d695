"""The fill rule, clause by clause: the real cache keeps it, and one that breaks a clause is caught."""

from __future__ import annotations

import pytest
from tests.unit.core import broken_caches as broken
from tests.unit.core import coherence_scenarios as scenarios
from tests.unit.core.coherence_scenarios import Scenario, StaleRead

from elastic_images.core.coherent_cache import CoherentCache

ALL: list[Scenario] = [
    value
    for name, value in vars(scenarios).items()
    if getattr(value, "__module__", "") == scenarios.__name__ and name.startswith(("a_", "an_", "what_"))
]

CAUGHT_BY: dict[type[CoherentCache], Scenario] = {
    broken.DropsNoEntries: scenarios.an_entry_is_dropped,
    broken.SpoilsNoFills: scenarios.a_fill_that_read_before_the_write_is_not_kept,
    broken.RegistersNoFills: scenarios.a_fill_of_nobody_that_read_before_the_write_is_not_kept,
    broken.JoinsSpoiledFills: scenarios.a_spoiled_fill_is_not_joined,
    broken.EndsTheFillOfAnother: scenarios.a_spoiled_fill_does_not_end_the_one_after_it,
    broken.ChecksThenInserts: scenarios.an_invalidation_between_the_check_and_the_insertion_counts,
    broken.DropsNoRenditions: scenarios.a_rendition_is_dropped,
    broken.FindsNoFillsOfRenditions: scenarios.a_rendition_made_of_old_bytes_is_not_kept,
    broken.KeepsSpoiledOriginalsOfRenditions: scenarios.an_original_read_for_a_rendition_before_the_write_is_not_kept,
    broken.ObeysOnlyWithLease: scenarios.a_dark_node_obeys_invalidations,
    broken.AnswersWithoutLease: scenarios.a_dark_node_answers_nothing,
    broken.HitsWithoutLease: scenarios.a_dark_near_cache_answers_nothing,
    broken.GivesPeersWithoutLease: scenarios.a_dark_node_gives_its_peer_nothing,
    broken.RenewsInsteadOfClearing: scenarios.a_new_life_begins_empty,
    broken.KeepsFillsWhenReborn: scenarios.a_new_life_keeps_no_fill_of_the_old_one,
    broken.IgnoresOwnership: scenarios.an_older_map_is_not_obeyed,
    broken.KeepsWhatIsLost: scenarios.what_is_lost_is_dropped,
    broken.KeepsFillsOfWhatIsLost: scenarios.a_fill_of_what_is_lost_is_not_kept,
    broken.GoesBack: scenarios.an_older_map_is_not_obeyed,
    broken.PullsByAnyMap: scenarios.a_pull_asks_no_source_that_comes_after_it,
}


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.__name__)
def test_the_cache_never_shows_old_bytes(scenario: Scenario) -> None:
    scenario(CoherentCache)


@pytest.mark.parametrize("kind", CAUGHT_BY, ids=lambda kind: kind.__name__)
def test_a_cache_that_breaks_a_clause_is_caught(kind: type[CoherentCache]) -> None:
    with pytest.raises(StaleRead):
        CAUGHT_BY[kind](kind)


def test_every_broken_cache_is_tried() -> None:
    made = {value for value in vars(broken).values() if isinstance(value, type) and value.__module__ == broken.__name__}
    assert made == set(CAUGHT_BY)


def test_there_are_scenarios() -> None:
    assert len(ALL) >= 16
