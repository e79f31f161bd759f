"""The model card of a bundle: what it is for, what it was trained and measured on, and where its limits are.

Its headings are those of CLAIM (Mongan, Moy and Kahn 2020, doi:10.1148/ryai.2020200029), each with its part of MI-CLAIM
(Norgeot et al. 2020, doi:10.1038/s41591-020-1041-y). `cards/<bundle>/card.json` and `card.html` are put together from
what was measured; they are written anew when the bundle is promoted or withdrawn.
"""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from ladnn.dataset.card.facts import DataCard
from ladnn.dataset.card.keeping import keep_card as keep_data_card
from ladnn.dataset.shortcuts.acceptance import AuditAcceptance, read_acceptance
from ladnn.dataset.shortcuts.audit import AuditVerdict, ShortcutAudit, read_audit
from ladnn.dataset.version import load_version
from ladnn.evaluation.selection import Selection, read_selection
from ladnn.evaluation.slices import Scores, Slice
from ladnn.evaluation.validation import Validated, read_validated, sampling_of
from ladnn.governance.decision import read_decision
from ladnn.labels import DIAGNOSIS, LESION_NAMES, LESIONS
from ladnn.page import render_page
from ladnn.registry.bundle import BundleManifest, read_manifest
from ladnn.registry.decision_record import DecisionRecord, decision_record
from ladnn.registry.promotion import Promotion, promotions
from ladnn.registry.test_set import read_test_result
from ladnn.registry.withdrawal import rolled_back, told
from ladnn.retrain import required_plan
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore, canonical_json

_PREFIX = "cards/"


class ModelCard(BaseModel):
    """Everything that the card of one model states.

    Attributes:
        promotions: records of the promotion log that made it champion, oldest first.
        withdrawal: the record that took it out of service; None where nobody did, or where it came back.
        selection: how the candidate was chosen on validation; None where it was not recorded.
        test: scores on the test set; None where it was not measured there.
        test_slices: the same by source, site, sex and age.
        validated: on validation, where calibration and operating point were chosen.
        audit: how well the diagnosis can be predicted without the disease in its data; `acceptance` is a person's.
        decision: of the retrain that made it; None where that measured another candidate, or has not ended.
        limits: in sentences.
    """

    model_config = ConfigDict(frozen=True)

    bundle_id: str
    manifest: BundleManifest
    promotions: tuple[Promotion, ...]
    withdrawal: Promotion | None
    data: DataCard
    validated: Validated | None
    selection: Selection | None
    test: Scores | None
    test_slices: tuple[Slice, ...]
    audit: ShortcutAudit | None
    acceptance: AuditAcceptance | None
    decision: DecisionRecord | None
    limits: tuple[str, ...]

    @property
    def model_version(self) -> str | None:
        """Version of the registered model in MLflow, if it was promoted."""
        return self.promotions[0].model_version if self.promotions else None


def model_card(store: ObjectStore, bundle_id: str, trusted: TrustedKeys) -> ModelCard:
    """Put the card of a bundle together.

    Raises:
        BundleError: the bundle is damaged, or no trusted key signed it.
    """
    manifest = read_manifest(store, bundle_id, trusted)
    plan = required_plan(store, manifest.lineage.retrain_id)
    result = read_test_result(store, plan.retrain_id)
    mine = result if result is not None and result.candidate_bundle == bundle_id else None
    has_decision = mine is not None and read_decision(store, plan.retrain_id) is not None
    sampling, log = sampling_of(manifest.config.evaluation, manifest.config.seed), promotions(store)
    card = ModelCard(
        bundle_id=bundle_id,
        manifest=manifest,
        promotions=tuple(item for item in log if item.bundle_id == bundle_id),
        withdrawal=rolled_back(log, {bundle_id}),
        data=keep_data_card(store, load_version(store, manifest.dataset_version)),
        validated=read_validated(store, plan.retrain_id, manifest.variant.name),
        selection=read_selection(store, plan.retrain_id),
        test=mine.candidate_scores if mine else None,
        test_slices=mine.candidate_slices if mine else (),
        audit=read_audit(store, manifest.dataset_version, manifest.config.audit, sampling),
        acceptance=read_acceptance(store, manifest.dataset_version),
        decision=decision_record(store, plan) if has_decision else None,
        limits=(),
    )
    return card.model_copy(update={"limits": tuple(_limits(card))})


def card_page(card: ModelCard) -> str:
    """Return the card as an HTML page that needs no network."""
    return render_page(
        __package__,
        "model_card.html",
        card=card,
        manifest=card.manifest,
        training=card.manifest.config.training.model_dump(mode="json", exclude={"augmentation"}),
        names={DIAGNOSIS: "COVID-19"} | LESION_NAMES,
        lesions=LESIONS,
    )


def card_summary(card: ModelCard) -> str:
    """Return the card in a few lines of Markdown, as the description of a model version."""
    scores = card.test or card.manifest.validation
    diagnosis, part = scores.diagnosis, "test" if card.test else "validation"
    lines = [
        f"{card.manifest.variant.name}, bundle {card.bundle_id}, dataset version {card.manifest.dataset_version}.",
        f"**Intended use.** {card.manifest.intended_use}",
        f"**On {part}** ({diagnosis.n_images} images of {diagnosis.n_patients} patients): AUROC {diagnosis.auroc}, "
        f"sensitivity {diagnosis.sensitivity}, specificity {diagnosis.specificity} at probability {diagnosis.threshold:.3f}.",
        "**Limits.**\n" + "\n".join(f"- {sentence}" for sentence in card.limits),
        f"The whole card: artifact `model_card.html` of the retrain's run, or `ladnn card {card.bundle_id}`.",
    ]
    return "\n\n".join(lines)


def keep_model_card(store: ObjectStore, bundle_id: str, trusted: TrustedKeys) -> ModelCard:
    """Put a card together and write it and its page to the store.

    Raises:
        BundleError: the bundle is damaged, or no trusted key signed it.
    """
    card = model_card(store, bundle_id, trusted)
    store.put(f"{_PREFIX}{bundle_id}/card.json", canonical_json(card.model_dump(mode="json")))
    store.put(f"{_PREFIX}{bundle_id}/card.html", card_page(card).encode())
    return card


def _limits(card: ModelCard) -> Iterator[str]:
    """Yield what must not be expected of the model, from what its data and its measurements lack."""
    if card.withdrawal:
        yield f"It was withdrawn by {told(card.withdrawal).rstrip('.')}."
    if card.manifest.synthetic:
        yield "It was trained and measured on synthetic phantoms and says nothing of patients."
    yield "It sees one axial slice at a time and knows nothing of history, symptoms or laboratory findings."
    yield "It was measured on data of its own contributors alone; elsewhere it may do worse. There is no prospective study."
    if card.test is None:
        yield "It was not measured on a test set; figures of validation flatter it."
    yield from _audit_limits(card)
    small = [
        f"{part.by} {part.value} ({part.n_patients} patients)"
        for part in card.test_slices
        if part.scores.diagnosis.auroc.value is None
    ]
    if small:
        yield f"Too few cases to tell how it does in: {', '.join(small)}."
    unfitted = [
        f"{LESION_NAMES.get(label, 'COVID-19')} ({temperature.unfitted})"
        for label in card.manifest.labels
        if (temperature := card.manifest.calibration.temperatures[label]).unfitted
    ]
    if unfitted:
        yield f"Probabilities are not calibrated for: {'; '.join(unfitted)}."
    yield from card.data.unknown


def _audit_limits(card: ModelCard) -> Iterator[str]:
    if card.audit is None:
        yield "Nobody has looked for shortcuts in its data."
        return
    for result in card.audit.counted:
        if result.verdict in (AuditVerdict.RED, AuditVerdict.AMBER):
            yield f"Its data hold a shortcut that it may use in place of the disease: {result}."
