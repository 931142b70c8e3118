"""Whether the data set of a study or a search fits its jobs and is fit itself: asked at once, not job by job."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.core.errors import Refused
from workbench.data.datasets.folder import checked, format_of
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.evaluation.metrics import measures
from workbench.experiments import console
from workbench.experiments.changes import ChangedJobs
from workbench.models.job import Job
from workbench.training.source import check_classes, check_keypoints


def check_jobs_fit(run: ChangedJobs, jobs: Iterable[Job]) -> None:
    """Whether the jobs find what they are to learn in the data set.

    Raises:
        Refused: it has other key points or classes.
    """
    skeleton = SyntheticScenes.skeleton if run.keypoints is None else run.keypoints.skeleton
    for job in jobs:
        check_keypoints(job, skeleton, _name(run))
        if run.classes is not None:
            check_classes(job, run.classes.names, _name(run))


def check_measured(run: ChangedJobs, metrics: Iterable[str], who: str) -> None:
    """Whether the evaluation of the data set gives the metrics.

    Args:
        who: asks for them, as the beginning of a sentence: "claim C1 speaks of".

    Raises:
        Refused: it does not.
    """
    rules = SyntheticScenes.evaluation if run.data is None else format_of(run.data).evaluation
    measured = measures(crowdpose=rules == "crowdpose")
    if lost := [metric for metric in metrics if metric not in measured]:
        raise Refused(
            f"{who} {lost[0]}, which {_name(run)} can not decide: its evaluation ({rules}) has {', '.join(measured)}"
        )


def look_at_data(run: ChangedJobs) -> None:
    """Looks at the whole data set, and says once which key points it has and what was put right in it.

    Raises:
        DataFault: it is not fit.
    """
    if run.keypoints is not None:
        console.say(run.keypoints.said)
    for look in checked(run.data) if run.data is not None else ():
        for line in look.notes():
            console.say(line)


def _name(run: ChangedJobs) -> str:
    return "the embedded data set" if run.data is None else str(run.data)
