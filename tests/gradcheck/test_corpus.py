"""The checker's examination: of the corpus each wrong layer and pair is reported, and no right one is refused.

A label does not come from the checker: `corpus.truth` finds it out in another way.
"""

import pytest
from corpus import LAYERS, PAIRS
from corpus.truth import layer_breaches, pair_breaches
from corpus.unseen import UNSEEN

from minigan.gradcheck import check_gradients

COSTLY = ("SelfAttentionAxes", "GroupNormCount", "DilatedDepthwiseTurned")


def of(cases, right):
    """The cases with one verdict, as parameters; each sixth of them is among the fast tests, but for the costly."""
    chosen = [case for case in cases if case.right == right]
    fast = [i % 6 == 0 and case.name not in COSTLY for i, case in enumerate(chosen)]
    marks = [() if quick else pytest.mark.slow for quick in fast]
    return [pytest.param(case, marks=mark, id=case.name) for case, mark in zip(chosen, marks, strict=True)]


def reports_of(case):
    return check_gradients(case.make if case.in_shape else case.make(), in_shape=case.in_shape)


def test_half_of_the_corpus_is_right():
    for cases, least in ((LAYERS, 80), (PAIRS, 30)):
        assert len(cases) >= least
        assert 2 * sum(case.right for case in cases) == len(cases)
        assert len({case.name for case in cases}) == len(cases)


@pytest.mark.parametrize("case", of(LAYERS, right=False) + of(PAIRS, right=False))
def test_what_is_wrong_is_reported(case):
    assert not all(reports_of(case)), f"passed: {case.how}"


@pytest.mark.parametrize("case", of(LAYERS, right=True) + of(PAIRS, right=True))
def test_what_is_right_is_not_refused(case):
    reports = reports_of(case)
    assert all(reports), f"refused: {case.how}\n" + "\n".join(str(report) for report in reports)


@pytest.mark.slow
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in LAYERS + PAIRS])
def test_the_label_is_true(case):
    found = layer_breaches(case) if case.in_shape else pair_breaches(case)
    assert case.right == (not found), found


@pytest.mark.slow
@pytest.mark.parametrize("make", UNSEEN)
def test_what_cannot_be_seen_passes(make):
    assert all(check_gradients(make, in_shape=(4,)))
