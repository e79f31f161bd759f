"""The Basic Application Level Confidentiality Profile (DICOM PS3.15, annex E), applied to a DICOM file.

Which attribute is removed, emptied or replaced comes from the tables of `dicomanonymizer` (edition 2026c). On top of
it: the same rules in nested sequences, UIDs replaced by keyed digests, unknown attributes removed, a new file header.
"""

import hashlib
import hmac
import io
from collections.abc import Callable, Collection, Iterator
from functools import cache
from struct import unpack_from

from dicomanonymizer.simpledicomanonymizer import delete, initialize_actions  # type: ignore[import-untyped]
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID

from ladnn.intake.dicom_file import DAMAGE, LONG_HEADERS, UNDEFINED, DicomFile, bad_dicom, read_dicom
from ladnn.intake.scrub import birth_date_spellings, name_spellings, usable_identifiers

_EDITION = "dicomfields_2026c"
_MAX_DEPTH = 16
_MAX_ELEMENTS = 60_000
_MAX_VALUE_BYTES = 2**16
_BULK_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ"}
_ITEM_GROUP = 0xFFFE
_STANDARD_ROOT = "1.2.840.10008."
_TEXT_VRS = {"LO", "LT", "SH", "ST", "UC", "UR", "UT"}
_PERSONAL_VRS = {"PN", "DA", "DT", "UN"}
"""Names and dates that the profile does not know, and what has no known meaning, are removed as well."""
_IDENTIFYING = {
    "AccessionNumber",
    "AdmissionID",
    "DeviceSerialNumber",
    "FillerOrderNumberImagingServiceRequest",
    "InstitutionAddress",
    "InstitutionName",
    "InstitutionalDepartmentName",
    "IssuerOfPatientID",
    "MedicalRecordLocator",
    "OtherPatientIDs",
    "PatientAddress",
    "PatientID",
    "PatientTelephoneNumbers",
    "PersonAddress",
    "PersonTelephoneNumbers",
    "PlacerOrderNumberImagingServiceRequest",
    "ReferringPhysicianAddress",
    "ReferringPhysicianTelephoneNumbers",
    "RequestedProcedureID",
    "ScheduledProcedureStepID",
    "ServiceEpisodeID",
    "StationName",
    "StudyID",
}
"""Attributes besides person names whose values name a patient, another person, a place or a case."""
_Rule = Callable[[Dataset, tuple[int, int]], None]


def deidentified(data: bytes, key: bytes) -> bytes:
    """Return the DICOM file with its header de-identified and its pixel data unchanged; `key` keys the new UIDs.

    Raises:
        ImageRejectedError: bad_dicom or truncated.
    """
    file = read_dicom(data)
    if file.syntax.is_private:
        raise bad_dicom("its transfer syntax is private; export it uncompressed")
    try:
        identifiers = header_identifiers(file.header)
        _apply(file.header, key, {item.casefold() for item in identifiers}, 0)
        return _written(file, key)
    except DAMAGE as error:
        raise bad_dicom(f"its header cannot be de-identified ({type(error).__name__}); export it again") from error


def header_identifiers(header: Dataset) -> frozenset[str]:
    """Return every identifying value that a header holds, each in the spellings that a report may use.

    Comes before any other look at a header, since it also finds those that pydicom would take minutes to read.

    Raises:
        ImageRejectedError: bad_dicom.
    """
    found: set[str] = set()
    for count, element in enumerate(_elements(header, 0)):
        if count > _MAX_ELEMENTS:
            raise bad_dicom(f"its header has more than {_MAX_ELEMENTS} attributes; export the slices one by one")
        if element.VR == "PN":
            found.update(*map(name_spellings, _values(element)))
        elif element.keyword == "PatientBirthDate":
            found.update(*map(birth_date_spellings, _values(element)))
        elif element.keyword in _IDENTIFYING and element.VR != "SQ":
            found.update(_values(element))
    return usable_identifiers(found)


def _values(element: DataElement) -> list[str]:
    several = isinstance(element.value, (MultiValue, list))
    return [str(value).strip() for value in (element.value if several else [element.value]) if value is not None]


def _elements(dataset: Dataset, depth: int) -> Iterator[DataElement]:
    """Yield every readable standard element, those of nested sequences included."""
    if depth > _MAX_DEPTH:
        raise bad_dicom(f"its sequences are nested more than {_MAX_DEPTH} deep; export it again")
    for tag in list(dataset.keys()):
        if tag.is_private:  # their meaning is unknown; de-identification removes them
            continue
        try:
            _check_length(dataset, tag)
            element = dataset[tag]
        except DAMAGE:  # a damaged element names nobody; de-identification removes it
            continue
        yield element
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _elements(item, depth + 1)


def _check_length(dataset: Dataset, tag: BaseTag) -> None:
    """Refuse a value that would be cut into a million parts, before pydicom does so."""
    raw = dataset.get_item(tag)
    if not isinstance(raw, RawDataElement) or raw.length <= _MAX_VALUE_BYTES or not raw.value:
        return
    known = raw.VR if raw.VR not in {None, "UN"} else dictionary_VR(tag) if dictionary_has_tag(tag) else "UN"
    if known == "SQ" and _has_too_many(raw.value, raw.is_little_endian, raw.is_implicit_VR or raw.VR == "UN"):
        raise bad_dicom(f"a sequence of its header has more than {_MAX_ELEMENTS} attributes; export slices one by one")
    if known not in _BULK_VRS:
        raise bad_dicom(f"a value of its header has more than {_MAX_VALUE_BYTES} bytes; export it again")


def _has_too_many(value: bytes, little_endian: bool, implicit: bool) -> bool:
    """Count the attributes of a sequence's items by their headers alone (PS3.5, sections 7.1 and 7.5)."""
    order, at = "<" if little_endian else ">", 0
    for _ in range(_MAX_ELEMENTS):
        if at + 8 > len(value):
            return False
        group, length = unpack_from(order + "H", value, at)[0], unpack_from(order + "L", value, at + 4)[0]
        size = 8
        if group == _ITEM_GROUP:
            length = 0  # go on with what the item holds
        elif not implicit and value[at + 4 : at + 6] in LONG_HEADERS and at + 12 <= len(value):
            length, size = unpack_from(order + "L", value, at + 8)[0], 12
        elif not implicit:
            length = unpack_from(order + "H", value, at + 6)[0]
        at += size + (0 if length == UNDEFINED else length)
    return True


def _apply(dataset: Dataset, key: bytes, identifiers: Collection[str], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise bad_dicom(f"its sequences are nested more than {_MAX_DEPTH} deep; export it again")
    for tag in list(dataset.keys()):
        rule = _rule(tag)
        if rule is delete or tag.is_private or tag.element == 0 or not dictionary_has_tag(tag):
            del dataset[tag]
            continue
        try:
            keep = _treat(dataset, dataset[tag], rule, key, identifiers)
        except DAMAGE:  # what cannot be read cannot be judged
            keep = False
        if not keep:
            del dataset[tag]
        elif dataset[tag].VR == "SQ":
            for item in dataset[tag].value or ():
                _apply(item, key, identifiers, depth + 1)


def _treat(
    dataset: Dataset, element: DataElement, rule: _Rule | None, key: bytes, identifiers: Collection[str]
) -> bool:
    """Empty or replace an element as its rule says; False where it must go."""
    if element.VR == "UI":
        element.value = _new_uids(element.value, key)
        return True
    if rule is not None:
        if element.VR == "SQ":  # dummy items would still show what was there
            return False
        rule(dataset, (element.tag.group, element.tag.element))
        return True
    if element.VR in _TEXT_VRS:
        text = str(element.value).casefold()
        return not any(identifier in text for identifier in identifiers)
    return element.VR not in _PERSONAL_VRS


def _new_uids(value: object, key: bytes) -> str | list[str]:
    if isinstance(value, (MultiValue, list)):
        return [_new_uid(str(item), key) for item in value]
    return _new_uid(str(value), key) if value else ""


def _new_uid(uid: str, key: bytes) -> str:
    """Return the UID that always stands for this one; UIDs that the standard defines are kept (PS3.5, annex B.2)."""
    if uid.startswith(_STANDARD_ROOT):
        return uid
    return f"2.25.{int.from_bytes(hmac.digest(key, uid.encode(), hashlib.sha256)[:16])}"


def _rule(tag: BaseTag) -> _Rule | None:
    """Return the profile's rule for an attribute; None where the profile keeps it."""
    rules, repeating = _rules()
    rule = rules.get((tag.group, tag.element))
    if rule is not None:
        return rule
    for (group, element, group_mask, element_mask), action in repeating:
        if tag.group & group_mask == group & group_mask and tag.element & element_mask == element & element_mask:
            return action
    return None


@cache
def _rules() -> tuple[dict[tuple[int, int], _Rule], list[tuple[tuple[int, int, int, int], _Rule]]]:
    actions = initialize_actions(_EDITION)
    single = {tag: rule for tag, rule in actions.items() if len(tag) == 2}
    return single, [(tag, rule) for tag, rule in actions.items() if len(tag) == 4]


def _written(file: DicomFile, key: bytes) -> bytes:
    header, meta = file.header, FileMetaDataset()
    meta.TransferSyntaxUID = file.syntax
    meta.MediaStorageSOPClassUID = UID(header.get("SOPClassUID") or header.file_meta.MediaStorageSOPClassUID)
    meta.MediaStorageSOPInstanceUID = UID(header.get("SOPInstanceUID") or _new_uid("", key))
    header.file_meta, header.preamble = meta, bytes(128)
    header.PatientIdentityRemoved = "YES"
    header.DeidentificationMethod = "DICOM PS3.15 Basic Application Level Confidentiality Profile"
    header.LongitudinalTemporalInformationModified = "REMOVED"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    header.DeidentificationMethodCodeSequence = Sequence([code])
    buffer = io.BytesIO()
    header.save_as(buffer, enforce_file_format=True)
    if file.pixels is not None:
        buffer.write(memoryview(file.data)[file.pixels.start : file.pixels.end])
    return buffer.getvalue()
