"""What a gallery shows: the images on which rows differ, with what each row finds there."""

from base64 import b64decode
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.report.made_up import TINY, TWO
from workbench.core.errors import Refused
from workbench.evaluation.records import MatchRecords
from workbench.experiments.plan import StudyRun
from workbench.report.gallery import gallery


@pytest.mark.slow
def test_rows_are_shown_on_the_same_images(trained: Path) -> None:
    run = StudyRun(TWO, TINY, trained)
    found = gallery(run, 6)
    assert found.rows == ["regression", "bins"] and len(found.images) == 6
    records = {one.row: MatchRecords.load(run.folder(one.job.key) / "records.npz") for one in run.jobs()}
    for one in found.images:
        assert one.persons == len(one.truth) > 0 and one.height > 0 and 0 <= one.crowding <= 1
        for row, record in records.items():
            at = record.image_ids.tolist().index(one.number)
            assert one.quality[row] == pytest.approx(record.oks_sum[at] / record.oks_count[at])
        picture = cv2.imdecode(np.frombuffer(b64decode(one.picture.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None and picture.shape[:2] == one.size
    apart = [one.apart for one in found.images]
    assert apart[:3] == sorted(apart[:3], reverse=True) and apart[0] == max(apart), "the first half differs most"


def test_one_row_alone_is_refused(tmp_path: Path) -> None:
    run = StudyRun(TWO, TINY, tmp_path)
    with pytest.raises(Refused, match="two, tiny: fewer than two rows are complete"):
        gallery(run)
