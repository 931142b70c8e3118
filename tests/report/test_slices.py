"""Slices: which images each one holds, and the numbers of these alone."""

import numpy as np
import pandas as pd
import pytest

from tests.report.made_up import FOUND
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.report.record import Record
from workbench.report.slices import images_frame, slices_of


def test_the_crowd_index_is_that_of_the_renderer() -> None:
    truth = SyntheticScenes("easy", 64, count=40, start=10_000_000).coco()
    known = images_frame(truth)
    bare = {**truth, "images": [{k: v for k, v in i.items() if k != "crowdIndex"} for i in truth["images"]]}
    assert known["crowding"].max() > 0
    np.testing.assert_allclose(images_frame(bare)["crowding"], known["crowding"], atol=1e-6)


def test_slices_are_disjoint_and_cover_every_image_with_a_person() -> None:
    images = pd.DataFrame(
        {"image": range(90), "size": np.arange(90.0), "crowding": [0.0] * 60 + [0.5] * 25 + [0.9] * 5}
    )
    found = slices_of(images)
    by = {name: [ids for what, ids in found if what["by"] == name] for name in ("size", "crowding")}
    assert [len(ids) for ids in by["size"]] == [30, 30, 30] and set.union(*by["size"]) == set(range(90))
    assert [len(ids) for ids in by["crowding"]] == [60, 25], "five images are too few to show"


def test_a_slice_has_the_numbers_of_its_images(record: Record) -> None:
    truth = SyntheticScenes("easy", 96, count=40, start=10_000_000).coco()
    slices = {(w["by"], w["slice"]): ids for w, ids in slices_of(images_frame(truth))}
    assert len(slices) >= 1
    base = record.slices[(record.slices["row"] == "base") & (record.slices["seed"] == 0)]
    for line in base.to_dict("records"):
        ids = slices[line["by"], line["slice"]]
        found = np.mean([i - 10_000_000 < FOUND["base"] for i in ids])  # the first 20 images are right
        assert line["images"] == len(ids) and line["mOKS"] == pytest.approx(found, abs=1e-5)
