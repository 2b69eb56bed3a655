#!/usr/bin/env python3
"""What SciPy and statsmodels make of counts and numbers: testdata for internal/stats.

    pip install scipy==1.17.1 statsmodels==0.15.0 numpy==2.4.6
    python3 scripts/stats.py internal/stats/testdata/expected.json

Neither has the interval of a difference of paired errors: Bonett and Price's is written out below, and beside it stands
Tango's, whose equation SciPy's brentq solves (T. Tango, Statistics in Medicine 17, 1998). The two are of different
making, and nearly the same where the counts are not small.
"""

import json
import math
import sys

import numpy as np
import scipy
import statsmodels
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

Z = stats.norm.ppf(0.975)
WILSON = [
    (0, 1), (1, 1), (0, 10), (3, 10), (10, 10), (1, 97), (162, 1000), (1620, 10000), (0, 10000), (10000, 10000),
    (20350, 50000), (1, 50000), (49999, 50000),
]
PAIRED = [  # pictures, b, c
    (10, 0, 0), (21, 1, 7), (10, 0, 1), (10, 1, 0), (10, 5, 5), (30, 0, 6), (100, 9, 20), (1000, 60, 40),
    (10000, 400, 400), (10000, 430, 370), (50000, 2600, 2400), (50000, 0, 50), (50000, 25000, 25000),
    (50000, 24000, 26000), (50000, 50000, 0),
]


def bonett_price(n, b, c):
    p, q = (b + 1) / (n + 2), (c + 1) / (n + 2)
    half = Z * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    return max(p - q - half, -1), min(p - q + half, 1)


def tango(n, b, c):
    def score(d):
        a2 = -b - c + (2 * n - b + c) * d
        q = (math.sqrt(max(a2 * a2 + 8 * n * c * d * (1 - d), 0)) - a2) / (4 * n)
        return (b - c - n * d) / math.sqrt(max(n * (2 * q + d * (1 - d)), 1e-300))

    at = (b - c) / n
    low = -1.0 if b == 0 and c == n else optimize.brentq(lambda d: score(d) - Z, -1 + 1e-12, at, xtol=1e-14)
    high = 1.0 if b == n else optimize.brentq(lambda d: score(d) + Z, at, 1 - 1e-12, xtol=1e-14)
    return low, high


def paired(n, b, c):
    exact = mcnemar([[0, b], [c, n - b - c]], exact=True).pvalue
    mid = 1.0 if b == c else 2 * stats.binom.cdf(min(b, c), b + c, 0.5) - stats.binom.pmf(min(b, c), b + c, 0.5)
    return {
        "n": n, "b": b, "c": c, "exact": float(exact), "mid_p": float(mid), "interval": bonett_price(n, b, c),
        "tango": tango(n, b, c),
    }


def groups(a, b):
    """AUC, and the exact p of the two-sided permutation test on it: over all ways to deal the numbers."""
    def auc(a, b, axis=-1):
        return stats.mannwhitneyu(a, b, axis=axis).statistic / (np.shape(a)[axis] * np.shape(b)[axis])

    far = stats.permutation_test(
        (a, b), lambda a, b, axis: abs(auc(a, b, axis) - 0.5), vectorized=True, n_resamples=np.inf,
        alternative="greater",
    )
    return {"a": a, "b": b, "auc": float(auc(a, b)), "p": float(far.pvalue)}


GROUPS = [
    ([1, 2, 3], [4, 5, 6]), ([4, 5, 6], [1, 2, 3]), ([1, 1, 1], [1, 1, 1]), ([0.5, 0.6], [0.25, 0.5, 0.75]),
    ([1, 2, 2, 3, 7], [2, 2, 4, 5, 6, 8]), ([0.1, 0.9, 0.4, 0.35, 0.8, 0.2], [0.15, 0.3, 0.25, 0.12, 0.5]),
]
out = {
    "scipy": scipy.__version__, "statsmodels": statsmodels.__version__,
    "wilson": [{"k": k, "n": n, "interval": proportion_confint(k, n, method="wilson")} for k, n in WILSON],
    "paired": [paired(*case) for case in PAIRED], "groups": [groups(*case) for case in GROUPS],
}
with open(sys.argv[1], "w", encoding="ascii") as f:
    json.dump(out, f, indent=1, default=float)
    f.write("\n")
