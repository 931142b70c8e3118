"""The commands of a page make it again."""

from dataclasses import replace

from tests.report.made_up import text
from workbench.experiments.plan import SequentialSettings
from workbench.report import page
from workbench.report.record import Record
from workbench.report.reproduce import page_command, study_command


def test_the_commands_of_a_page_say_all_that_was_changed(record: Record) -> None:
    assert "`nox -s study -- padding --protocol small`" in text(page.reproduce(record))
    run = replace(record.run, changes={"recipe.lr": 0.1}, fingerprint="coco@abc")
    changed = text(page.reproduce(replace(record, run=run)))
    assert "`nox -s report -- padding --protocol small --data FOLDER --set recipe.lr=0.1`" in changed


def test_seeds_that_were_added_are_added_again(record: Record) -> None:
    """The file alone knows how they were: the commands are the same where there are no jobs."""

    def until(settings: SequentialSettings) -> Record:
        terms = {"first_seeds": settings.seeds, "budget": settings.budget}
        return replace(record, claims=record.claims.assign(**terms))

    assert record.until is None
    for settings, more in ((SequentialSettings(3, 32), " --budget 32"), (SequentialSettings(4), "")):
        again = until(settings)
        assert again.until == settings
        assert study_command(again).endswith(f"--protocol small --seeds {settings.seeds} --until decided{more}")
        assert page_command(again) == "nox -s report -- padding --protocol small"
