"""The report's statistics on made-up tables in which no arm differs; `benchmarks/null_tables.py` is the long form.

Bounds are those of the binomial distribution at one in ten thousand. Comparisons of one table are dependent, so a
table counts once.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks import null_tables as n

TABLES = 300
RARE = 1e-4
ROOT = Path(__file__).parents[2]


def at_most(share, tables=TABLES):
    """The largest share of tables that is still by chance where `share` is expected."""
    return binom.ppf(1 - RARE, tables, share) / tables


def at_least(share, tables=TABLES):
    return binom.ppf(RARE, tables, share) / tables


@pytest.fixture(scope="module", params=[(noise, seeds) for noise in n.NOISES for seeds in (6, 9, 12)], ids=str)
def rates(request):
    return n.table_rates(*request.param, TABLES)


def test_false_positives_are_no_more_than_their_level(rates):
    assert rates.familywise_error <= at_most(n.ALPHA)
    assert rates.false_positive_rate <= at_most(n.ALPHA)
    assert rates.false_positive_rate_corrected <= rates.false_positive_rate


def test_differences_as_large_as_the_margin_are_rarely_called_negligible(rates):
    assert rates.false_negligible <= at_most(n.ALPHA)
    if rates.seeds == 12:
        assert rates.true_negligible > 0.5, "equal arms are"


def test_an_arm_is_rarely_called_the_best_where_none_is(rates):
    assert rates.false_best <= at_most(n.ALPHA)
    assert rates.false_best_of_two <= at_most(n.ALPHA)


def test_intervals_hold_the_truth_as_often_as_they_say(rates):
    low = 0.95 if rates.noise == "normal" else 0.92  # Student's t is exact for normal noise alone
    for coverage in (rates.coverage_mean, rates.coverage_difference):
        assert at_least(low) <= coverage <= at_most(0.95 if rates.noise == "normal" else 0.98)


@pytest.mark.parametrize("seeds", [3, 5])
def test_few_seeds_have_no_false_positive_at_all(seeds):
    assert n.table_rates("normal", seeds, 50).familywise_error == 0


def test_tables_would_tell_a_missing_correction():
    errors = n.draw_errors(np.random.default_rng(0), "normal", (TABLES, n.ARMS, 12))
    p = n.sign_flip_ps(errors[:, 1:] - errors[:, :1])
    assert (p <= n.ALPHA).any(axis=1).mean() > at_most(n.ALPHA)


def test_intervals_over_all_runs_hold_the_truth_and_would_not_if_conditions_were_drawn_apart():
    found = n.bootstrap_rates("normal", 9, TABLES)
    assert at_least(0.95) <= found.coverage_iqm <= at_most(0.95)
    assert at_least(0.95) <= found.coverage_improvement
    assert found.coverage_within_conditions < at_least(0.95)


def test_ranks_of_equal_arms_are_rarely_told_apart():
    found = n.rank_rates(10, TABLES)
    assert found.friedman <= at_most(n.ALPHA)
    assert found.nemenyi <= at_most(n.ALPHA)
    assert found.friedman_chi_square <= found.friedman


def test_simulation_that_disagrees_with_the_report_is_refused():
    errors = n.draw_errors(np.random.default_rng(0), "normal", (1, n.ARMS, 6))[0]
    p = n.sign_flip_ps(errors[1:] - errors[0])
    small = n.equivalence_ps(errors[1:] - errors[0])
    means, differing = n.covers(errors), n.covers(errors[1:] - errors[0])
    right = (p, small, means, differing)
    n._check_table(errors, *right)
    for place, wrong in enumerate((p / 2, small / 2, ~means, ~differing)):
        with pytest.raises(ArithmeticError, match="disagree"):
            n._check_table(errors, *right[:place], wrong, *right[place + 1 :])


def test_the_command_prints_one_object():
    command = [sys.executable, "benchmarks/null_tables.py", "--tables", "8", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    keys = {"tables", "familywise_error", "false_positive_rate", "coverage_difference", "coverage_mean"}
    assert keys <= set(found)
    assert found["tables"] == 8 * len(n.NOISES) * len(n.SEEDS)
