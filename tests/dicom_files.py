"""Owns made-up DICOM files for the tests: a chest-like CT slice in every encoding; nobody's data."""

import io
from typing import Any

import imagecodecs
import numpy as np
from factories import picture
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
PACKED = (RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless)
NAMES = {
    "PatientName": "Roe^Jane Marie^^Dr",
    "PatientID": "HX-4711",
    "PatientBirthDate": "19600312",
    "AccessionNumber": "ACC778899",
    "ReferringPhysicianName": "Miller^Otto",
    "InstitutionName": "Saint Elsewhere Hospital",
    "PatientAddress": "12 Rose Lane, Springfield",
    "PatientTelephoneNumbers": "555-123-4567",
    "StudyDate": "20200301",
    "StudyInstanceUID": "1.2.3.4.5.6",
    "SeriesInstanceUID": "1.2.3.4.5.7",
}


def hounsfield(number: int = 0) -> NDArray[np.int16]:
    """A slice in Hounsfield units, int16 (96, 128), made of `picture`: black is -1350, white 150."""
    return (picture(number).astype(np.float32) * 1500 / 255 - 1350).round().astype(np.int16)


def ct_dataset(levels: NDArray[Any], syntax: str = ExplicitVRLittleEndian, **values: Any) -> Dataset:
    """A CT slice of stored values (H, W) or (N, H, W), uncompressed; `None` leaves an attribute out."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5.8"
    size = levels.dtype.itemsize * 8
    several = {"NumberOfFrames": len(levels)} if levels.ndim == 3 else {}
    defaults = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": "1.2.3.4.5.8",
        "Modality": "CT",
        "Manufacturer": "Maker",
        "ManufacturerModelName": "Model X",
        "KVP": "120",
        "SliceThickness": "1.25",
        "PixelSpacing": ["0.7", "0.7"],
        "ConvolutionKernel": "LUNG",
        "InstanceNumber": "7",
        "SliceLocation": "-120.5",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": levels.shape[-2],
        "Columns": levels.shape[-1],
        "BitsAllocated": size,
        "BitsStored": size,
        "HighBit": size - 1,
        "PixelRepresentation": int(levels.dtype.kind == "i"),
        "RescaleSlope": "1",
        "RescaleIntercept": "0",
    }
    for keyword, value in (defaults | several | values).items():
        if value is not None:
            setattr(dataset, keyword, value)
    stored = levels.astype(levels.dtype.newbyteorder(">")) if syntax == ExplicitVRBigEndian else levels
    dataset.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    dataset["PixelData"].VR = "OW" if size > 8 else "OB"
    return dataset


def written(dataset: Dataset) -> bytes:
    """The bytes of a DICOM file."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def ct_file(levels: NDArray[Any], syntax: str = ExplicitVRLittleEndian, **values: Any) -> bytes:
    """The bytes of a CT file in any transfer syntax of this module."""
    if syntax in NATIVE:
        return written(ct_dataset(levels, syntax, **values))
    dataset = ct_dataset(levels, **values)
    if syntax != JPEGLosslessSV1:
        dataset.compress(syntax, generate_instance_uid=False)
        return written(dataset)
    frames = levels if levels.ndim == 3 else levels[None]
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([_lossless_jpeg(frame) for frame in frames])
    dataset["PixelData"].VR = "OB"
    return written(dataset)


def enhanced_ct(frames: NDArray[Any], intercepts: list[float]) -> bytes:
    """The bytes of an Enhanced CT file whose frames have intercepts of their own."""
    dataset = ct_dataset(frames, SOPClassUID=EnhancedCTImageStorage, RescaleSlope=None, RescaleIntercept=None)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(
        _group(PixelValueTransformationSequence={"RescaleSlope": "1", "RescaleIntercept": str(intercept)})
        for intercept in intercepts
    )
    dataset.SharedFunctionalGroupsSequence = Sequence([_group(PixelMeasuresSequence={"SliceThickness": "5"})])
    return written(dataset)


def _group(**sequences: dict[str, str]) -> Dataset:
    group = Dataset()
    for keyword, values in sequences.items():
        item = Dataset()
        for name, value in values.items():
            setattr(item, name, value)
        setattr(group, keyword, Sequence([item]))
    return group


def _lossless_jpeg(levels: NDArray[Any]) -> bytes:
    """One frame as lossless JPEG; pydicom cannot write it."""
    unsigned = levels.view(f"u{levels.itemsize}")
    return imagecodecs.jpeg8_encode(unsigned, lossless=True, predictor=1, bitspersample=levels.itemsize * 8)
