"""The intake flow: everything that waits in the inbox ends accepted or in quarantine."""

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from ladnn.dataset.desk import open_desk
from ladnn.intake.process import IntakeReport, take_in
from ladnn.platform import open_platform
from ladnn.progress import progress_bar, say


@task(cache_policy=NO_CACHE)
def take_in_contributions(*, sweep: bool) -> IntakeReport:
    """Take in what waits, and name what was set aside; a sweep finds what took weeks to upload, too."""
    with progress_bar("intake: contributions") as bar:
        report = take_in(open_desk(open_platform()), bar, sweep=sweep)
    for line in report.lines:
        say(f"  {line}")
    return report


@flow(name="intake")
def intake() -> IntakeReport:
    """Run intake alone, such as every hour between two retrains."""
    return take_in_contributions(sweep=False)
