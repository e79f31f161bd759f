"""De-identification of what a hospital sends: DICOM headers, and report text. The public entry of both."""

from ladnn.intake.scrub import names_in_file_name, scrub

__all__ = ["deidentify_dicom", "dicom_identifiers", "names_in_file_name", "scrub"]


def deidentify_dicom(data: bytes, key: bytes = b"") -> bytes:
    """Return a DICOM file without identifying attributes, by the basic profile of DICOM PS3.15; pixels are unchanged.

    Args:
        data: the file.
        key: keys the new UIDs, so that nobody can tell from them which UID they stand for; the same key gives the
            same UIDs, so that the slices of a series stay together.

    Raises:
        ImageRejectedError: bad_dicom or truncated.
    """
    from ladnn.intake.dicom_profile import deidentified

    return deidentified(data, key)


def dicom_identifiers(data: bytes) -> frozenset[str]:
    """Return every identifying value that the header of a DICOM file holds, of three characters or more.

    Names come whole and in parts, the birth date in the spellings that reports use. For `scrub`, never for a log.

    Raises:
        ImageRejectedError: bad_dicom or truncated.
    """
    from ladnn.intake.dicom_file import read_dicom
    from ladnn.intake.dicom_profile import header_identifiers

    return header_identifiers(read_dicom(data).header)
