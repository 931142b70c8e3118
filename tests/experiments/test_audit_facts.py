"""What is read off a job: where its targets change, and what rows should share."""

from __future__ import annotations

from tests.small import small_job
from workbench.experiments.audit_facts import first_phase, norms_of, rates, switches_of
from workbench.models.network import Network


def test_switches_are_those_that_epochs_reach() -> None:
    """The last phase starts at 95 %: no epoch of four begins in it, the last one of twenty does."""
    few, many = (switches_of(small_job(epochs=epochs), 10) for epochs in (4, 20))
    assert [(s.phase, s.step, s.total) for s in few] == [(1, 20, 40)]
    assert [(s.phase, s.step, s.moment) for s in many] == [
        (1, 100, "step 100 of 200 (50 %)"),
        (2, 190, "step 190 of 200 (95 %)"),
    ]
    assert many[1].changes == {"augmentation": "full -> weak", "weight of loss_bbox_aux": "0 -> 1"}
    assert switches_of(small_job(epochs=1), 10) == ()


def test_a_job_that_begins_later_passes_over_what_comes_before() -> None:
    """In its phase, and in its epoch: nine of ten switch at the half."""
    job = small_job(epochs=20)
    phase, epoch = (job.vary({"start.key": "0" * 12, f"start.{name}": n}) for name, n in (("phase", 1), ("epoch", 12)))
    assert [(first_phase(one), [s.step for s in switches_of(one, 10)]) for one in (job, phase, epoch)] == [
        (0, [100, 190]),
        (1, [190]),
        (1, [190]),
    ]
    assert [s.step for s in switches_of(job.vary({"protocol.stop": 19}), 10)] == [100]


def test_the_effective_rate_is_the_schedule_summed() -> None:
    """Over what is trained: a job that goes on after the first of five epochs and stops before the last has three."""
    job = small_job(epochs=5).vary({"recipe.schedule": (), "recipe.lr": 0.5, "recipe.encoder_lr_scale": 0.1})
    network, part = Network(job.variant, 0), {"start.key": "0" * 12, "start.epoch": 1, "protocol.stop": 4}
    assert rates(network, job, 4) == {
        "learning rate": "mean 0.5, sum 10",
        "learning rate of the slow part": "mean 0.05, sum 1",
    }
    assert rates(network, job.vary(part), 4)["learning rate"] == "mean 0.5, sum 6"
    assert norms_of(network) == "momentum 0.03 eps 0.001, momentum 0.1 eps 1e-05"
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    assert norms_of(network) == "none"
