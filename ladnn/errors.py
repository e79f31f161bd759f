"""Every error that ladnn raises on purpose: its message says what was wrong, with which input, and what to do.

Messages never hold a patient identifier or report text: they reach logs, MLflow and Prefect.
"""


class LadnnError(Exception):
    """Base of all errors that a command prints as one line instead of a traceback.

    Attributes:
        problem: what was wrong, without the remedy, where the two were given apart.
        remedy: what to do, then.
    """

    def __init__(self, problem: str, remedy: str | None = None) -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.problem, self.remedy = problem, remedy


class ConfigError(LadnnError):
    """The experiment configuration is invalid; the message lists every violation."""


class SettingsError(LadnnError):
    """An environment variable that says where ladnn runs is missing or wrong."""


class StoreError(LadnnError):
    """The object store could not do what was asked."""


class StoreAccessError(StoreError):
    """The object store refused the credentials, or cannot be reached."""


class ObjectNotFoundError(StoreError):
    """No object has this key."""


class DigestMismatchError(StoreError):
    """Stored bytes are not the bytes that were written."""


class UnusableObjectError(StoreError):
    """One object is no plain file, or may not be read, while the store itself works."""


class ObjectTooLargeError(StoreError):
    """An object has more bytes than its reader takes."""


class StoreFullError(StoreError):
    """No space is left where the object should be written."""


class ContributionError(LadnnError):
    """A contribution, or the folder it should be made from, is unusable as a whole."""


class ImageRejectedError(LadnnError):
    """One image cannot be accepted; `reason` is its quarantine code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class QuarantineError(LadnnError):
    """What was named is not in quarantine, or cannot be released."""


class LabelChangeError(LadnnError):
    """A label cannot be changed as asked, or the image that is meant is not known."""


class UnknownLabelError(LadnnError):
    """A label code or column is not in the vocabulary."""


class EmptyInboxError(LadnnError):
    """There is nothing to train on."""


class DatasetError(LadnnError):
    """A dataset version is missing, damaged, or too small for what was asked."""


class LeakageError(LadnnError):
    """A patient, study or image stands in more than one split."""


class WeightsError(LadnnError):
    """Pretrained weights are not to be had or do not fit."""


class TrainingError(LadnnError):
    """A variant cannot be trained any further."""


class GateError(LadnnError):
    """The gates were asked for a verdict they cannot give, such as over an empty list."""


class ApprovalError(LadnnError):
    """A held candidate was answered otherwise before, or can no longer be answered."""


class DriftError(LadnnError):
    """Something cannot be accepted of a check for drift, such as of one that asks no site."""


class BudgetSpentError(GateError):
    """A test-set version has been opened as often as its budget allows; nothing was scored."""


class BundleError(LadnnError):
    """A bundle is incomplete, tampered with, or does not reproduce its golden outputs."""


class NoChampionError(LadnnError):
    """Nothing has been promoted yet."""


class PromotionConflictError(LadnnError):
    """Somebody else promoted first; the promotion log moved on."""


class PromotionError(LadnnError):
    """A model cannot become champion as asked: not accepted, never champion, or champion already."""


class PromotionLogError(LadnnError):
    """The promotion log is damaged."""


class TrackingError(LadnnError):
    """MLflow, which tracks runs and registers models, cannot be reached or refuses."""


class RetrainError(LadnnError):
    """A retrain cannot start or go on as asked."""
