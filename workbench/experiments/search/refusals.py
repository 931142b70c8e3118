"""What a search refuses: data that its candidates can not be trained or judged on, and a time that nobody meets."""

from __future__ import annotations

import math

from workbench.core.errors import Refused
from workbench.experiments.data_checks import check_jobs_fit, check_measured, look_at_data
from workbench.experiments.job_files import files_of
from workbench.experiments.search.knowledge import Knowledge
from workbench.experiments.search.log import Proposal, State
from workbench.experiments.search.plan import SearchRun
from workbench.experiments.search.pricing import Price, check_admits


def check_search_data(run: SearchRun) -> None:
    """At once, not job by job.

    Raises:
        Refused: there is no data set where one is wanted, its key points or classes are not the candidates', or its
            evaluation does not give the metric that is searched for.
        DataFault: the data set is not fit.
    """
    files_of(run.home).check()
    if run.data is None and not run.job_protocol.scenes:
        raise Refused(f"protocol {run.protocol.name} wants a data set: add --data FOLDER")
    check_jobs_fit(run, [run.any_job])
    check_measured(run, [run.search.up], f"{run.search.name} searches for")
    look_at_data(run)


def check_any_met(known: Knowledge) -> None:
    """Limits on what is counted are checked before anything is looked at; one on time is met or not by what was.

    Raises:
        Refused: nobody that was looked at met it.
    """
    proposals, space = known.log.proposals, known.run.search.space
    if proposals and all(one.state is State.OVER for one in proposals):
        prices = {space.candidate(one.pairs).text: _price(one) for one in proposals}
        check_admits(prices, known.run.all_limits)


def _price(proposal: Proposal) -> Price:
    costs = (proposal.costs.get(name, math.nan) for name in ("params", "gflops", "ms"))
    return Price(*costs, measured=proposal.timed, over=(proposal.why,))
