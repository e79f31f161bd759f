"""Twenty real processes that promote at once, on either kind of store: one order, nothing lost, aliases at its end."""

from dataclasses import asdict
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Barrier

import pytest
from s3_server import S3Server

from ladnn.errors import PromotionConflictError
from ladnn.registry.model_versions import MODEL, follow_log
from ladnn.registry.promotion import Proposal, champion, promote, promotions
from ladnn.registry.tracking import Tracking
from ladnn.store import ObjectStore, S3Options, open_store

N = 20


def proposal(name: str) -> Proposal:
    return Proposal(
        bundle_id=f"b-{name}", model_version=name, retrain_id=f"r-{name}", synthetic=True, by="tests", reason="contest"
    )


def contend(url: str, s3: dict[str, str | None], uri: str, artifacts, name: str, barrier: Barrier, answers) -> None:
    """Promote against no champion, as all others do at this moment; then against the present one, until it is done."""
    store, tracking = open_store(url, S3Options(**s3)), Tracking(uri, artifacts)
    barrier.wait(120)
    expected, n_lost, record = 0, 0, None
    while record is None:
        try:
            record = promote(store, proposal(name), expected)
        except PromotionConflictError:
            n_lost += 1
            current = champion(store)
            expected = current.number if current else 0
    follow_log(tracking, store)
    answers.put((name, record.number, n_lost))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "s3"])
def test_of_twenty_processes_each_gets_its_place_and_the_last_one_has_the_alias(
    kind: str, request: pytest.FixtureRequest, tracking: Tracking, tmp_path, forkserver: ForkServerContext
) -> None:
    store: ObjectStore = request.getfixturevalue(f"{kind}_store")
    server: S3Server | None = request.getfixturevalue("s3_server") if kind == "s3" else None
    run_id = tracking.variant_run("r-1", "a", {})
    tracking.client.create_registered_model(MODEL)
    for number in range(1, N + 1):
        source, tags = tracking.client.get_run(run_id).info.artifact_uri, {"ladnn.bundle_id": f"b-{number}"}
        tracking.client.create_model_version(MODEL, source, run_id, tags=tags)
    barrier, answers = forkserver.Barrier(N), forkserver.Queue()
    shared = (store.url, asdict(server.options) if server else {}, tracking.uri, tmp_path / "tracking" / "artifacts")

    processes = [
        forkserver.Process(target=contend, args=(*shared, str(number), barrier, answers)) for number in range(1, N + 1)
    ]
    for process in processes:
        process.start()
    told = [answers.get(timeout=300) for _ in processes]
    for process in processes:
        process.join(60)

    log = promotions(store)
    assert [record.number for record in log] == list(range(1, N + 1))
    assert {record.model_version: record.number for record in log} == {name: number for name, number, _ in told}
    assert sum(n_lost == 0 for _, _, n_lost in told) == 1
    aliases = {name: str(version) for name, version in tracking.client.get_registered_model(MODEL).aliases.items()}
    assert aliases == {"champion": log[-1].model_version, "previous-champion": log[-2].model_version}
