"""Owns damaged and lying image files for the tests, and what is asked of each; as a program, examines many of them.

Usage: `python fuzzed_files.py 10000` prints one JSON document: how many files, the slowest one's seconds, peak memory.
"""

import json
import resource
import struct
import sys
import time
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from dicom_files import NAMES, NATIVE, PACKED, ct_dataset, ct_file, enhanced_ct, hounsfield, written
from factories import encoded, picture
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from ladnn.errors import ImageRejectedError
from ladnn.intake.decode import check_ct_slice, decode_frames
from ladnn.intake.deidentify import deidentify_dicom, dicom_identifiers

REASONS = {
    *("empty", "truncated", "wrong_type", "decompression_bomb", "too_large", "too_small", "blank", "not_ct"),
    *("bad_dicom", "burned_in_annotation", "several_frames", "undecodable"),
}
Damage = tuple[int, str, int, bytes]


def seeds() -> list[bytes]:
    """Small valid files of every kind."""
    grey, levels = Image.fromarray(picture(1)), hounsfield(1)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a maker"
    frames = np.stack([levels, levels, levels])
    return [
        encoded(grey),
        encoded(grey.convert("P"), transparency=bytes(range(256))),
        encoded(grey.convert("RGBA"), exif=exif),
        encoded(picture(1).astype(np.uint16) * 257),
        encoded(grey, "JPEG", exif=exif),
        encoded(grey.convert("CMYK"), "JPEG", progressive=True),
        *(ct_file(levels, syntax, **NAMES) for syntax in (*NATIVE, *PACKED)),
        *(ct_file(frames, syntax) for syntax in PACKED),
        enhanced_ct(frames, [0, 1, 2]),
    ]


@cache
def lying_files() -> list[bytes]:
    """Files that claim to be far more than they are."""
    levels = hounsfield(1)
    whole, item = ct_file(levels), b"\xfe\xff\x00\xe0"
    header, rest = whole[: whole.index(b"\xe0\x7f\x10\x00OW")], whole[whole.index(b"\xe0\x7f\x10\x00OW") :]

    def sequence(body: bytes) -> bytes:
        return struct.pack("<HH2sHL", 0x0040, 0x0275, b"SQ", 0, len(body)) + body

    deep = open_deep = b""
    for _ in range(3000):
        deep = sequence(item + struct.pack("<L", len(deep)) + deep)
        open_deep = (
            struct.pack("<HH2sHL", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF) + item + b"\xff\xff\xff\xff" + open_deep
        )
    tags = b"".join(struct.pack("<HH2sH", 0x0040, number & 0xFFFF, b"LO", 0) for number in range(400_000))
    values = b"1\\" * 1_500_000
    return [
        *(_png_claiming(width, height) for width, height in ((60_000, 60_000), (2**31 - 1, 40), (4096, 4096), (0, 0))),
        *(ct_file(levels, Rows=rows, Columns=columns) for rows, columns in ((65535, 65535), (4096, 4096), (0, 0))),
        *(ct_file(levels, NumberOfFrames=count) for count in (0, 4096, 2**31 - 1)),
        *(ct_file(levels, BitsAllocated=bits, BitsStored=stored) for bits, stored in ((1, 1), (64, 64), (16, 999))),
        *(header + body + rest for body in (deep, open_deep, tags, sequence(item * 900_000))),
        header + sequence(item + struct.pack("<L", len(tags)) + tags) + rest,
        header + struct.pack("<HH2sHL", 0x0018, 0x9908, b"UC", 0, len(values)) + values + rest,
        header + rest[:8] + b"\xff\xff\xff\xfe" + rest[12:],
        header + rest[:8] + b"\xff\xff\xff\xff" + item * 100_000,
        _deflated_bomb(),
    ]


def _png_claiming(width: int, height: int) -> bytes:
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(10**7))),
        (b"IEND", b""),
    )
    packed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _deflated_bomb() -> bytes:
    dataset = ct_dataset(hounsfield(1))
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    dataset.PixelData = bytes(10**8)
    return written(dataset)


def damaged(seed: bytes, damages: list[Damage]) -> bytes:
    """Flip, cut, repeat or insert bytes; half of all damage falls on the header."""
    data = bytearray(seed)
    for position, kind, length, inserted in damages:
        at = position % min(len(data), 1500) if position % 2 else position % len(data)
        if kind == "flip":
            data[at] ^= 1 << length % 8
        elif kind == "cut":
            del data[at : at + length]
        elif kind == "repeat":
            data[at:at] = data[at : at + length]
        elif kind == "end":
            del data[at:]
        else:
            data[at : at + len(inserted)] = inserted
        data = data or bytearray(b"\0")
    return bytes(data)


def files() -> st.SearchStrategy[bytes]:
    """Random bytes, damaged files of every kind, and lying ones."""
    damage = st.tuples(
        st.integers(0, 10**6),
        st.sampled_from(["flip", "cut", "repeat", "end", "insert"]),
        st.integers(0, 300),
        st.binary(max_size=8),
    )
    whole = st.sampled_from(seeds())
    broken = st.builds(damaged, whole, st.lists(damage, min_size=1, max_size=4))
    return st.one_of(broken, broken, broken, broken, whole.flatmap(_with_noise), st.binary(max_size=600))


def _with_noise(seed: bytes) -> st.SearchStrategy[bytes]:
    return st.builds(lambda at, noise: seed[:at] + noise, st.integers(0, min(len(seed), 400)), st.binary(max_size=2000))


def examine(data: bytes) -> float:
    """Do with a file all that intake does; return seconds. Any other error than a refusal comes through."""
    start = time.perf_counter()
    for frame in decode_frames(data):
        if isinstance(frame, ImageRejectedError):
            _check(frame)
        else:
            _refused(lambda image=frame: check_ct_slice(image))
    _refused(lambda: dicom_identifiers(data))
    _refused(lambda: deidentify_dicom(data, b"key"))
    return time.perf_counter() - start


def _refused(action: Callable[[], object]) -> None:
    try:
        action()
    except ImageRejectedError as error:
        _check(error)


def _check(error: ImageRejectedError) -> None:
    if error.reason not in REASONS or not str(error) or "Roe" in str(error) or "4711" in str(error):
        raise ValueError(f"refusal {error.reason!r} is none that was agreed, or names the patient")


def main(n_files: int) -> None:
    """Examine all lying files and many damaged ones; print what it took."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = [examine(data) for data in lying_files()]

    @settings(
        max_examples=n_files,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(files())
    def examine_all(data: bytes) -> None:
        seconds.append(examine(data))

    examine_all()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    json.dump({"n_files": len(seconds), "slowest_s": max(seconds), "grown_mib": grown}, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]))
