"""A small space with a planted truth: three factors and one that depends, 36 candidates."""

import numpy as np

from workbench.experiments.search.process import Observations, Pool, observations
from workbench.space import Factor, Space
from workbench.tensors import Floats, Ints

NOISE = 0.5
SPACE = Space(
    (
        Factor("a", {"a0": {}, "a1": {}, "a2": {}}),
        Factor("b", {"b0": {}, "b1": {}}),
        Factor("c", {"c0": {}, "c1": {}}, when={"b": ("b0",)}),
        Factor("d", {"d0": {}, "d1": {}, "d2": {}, "d3": {}}),
    )
)
WORTH = {("a", "a1"): 4.0, ("a", "a2"): -2.0, ("b", "b1"): 1.0, ("d", "d3"): 3.0, ("c", "c1"): -1.0}


def pool(rng: np.random.Generator) -> Pool:
    features = SPACE.features(SPACE.candidates)
    return Pool(features, rng.uniform(0, 2, len(features)))


def truth() -> Floats:
    """(36,): 60 and what its options are worth."""
    return np.asarray([60 + sum(WORTH.get(pair, 0.0) for pair in one.pairs) for one in SPACE.candidates])


def trained(which: Ints, scores: Floats, rng: np.random.Generator) -> Observations:
    return observations([(int(i), 0, float(scores[i] + rng.normal(0, NOISE)), NOISE**2) for i in which])
