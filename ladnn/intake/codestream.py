"""What packed pictures say of their own size, read without unpacking them.

Decoders allocate what a codestream claims, so the claim is checked first. Markers: ITU-T T.81 annex B (JPEG),
ITU-T T.87 annex C (JPEG-LS), ITU-T T.800 annex A (JPEG 2000).
"""

import struct
from typing import NamedTuple

_MAX_SEGMENTS = 20_000
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_END, _SCAN = 0xD9, 0xDA
_STANDALONE = frozenset(range(0xD0, 0xD9)) | {0x01}
_SIZ = b"\xff\x4f\xff\x51"
_MAX_TILES = 1024


class FrameSize(NamedTuple):
    """Size of a codestream's frame."""

    width: int
    height: int
    n_components: int


def jpeg_size(data: bytes) -> FrameSize | None:
    """Return the size that a JPEG or JPEG-LS codestream claims; None where it claims none before its first scan."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data):
            return None
        marker = data[at + 1]
        if marker in (_END, _SCAN):
            return None
        if marker == 0xFF or marker in _STANDALONE or not marker:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAME_MARKERS:
            if at + 10 > len(data):
                return None
            height, width, n_components = struct.unpack_from(">HHB", data, at + 5)
            return FrameSize(width, height, n_components)
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def n_jpeg_scans(data: bytes) -> int:
    """Return the number of scans of a JPEG file at most; each costs a pass over all pixels of a progressive one."""
    return data.count(b"\xff\xda")


def jpeg_2000_size(data: bytes) -> FrameSize | None:
    """Return the size that a JPEG 2000 codestream claims; None where it claims none or is cut in too many tiles."""
    at = data.find(_SIZ, 0, 4096)
    if at < 0 or at + 42 > len(data):
        return None
    right, bottom, left, top, tile_width, tile_height = struct.unpack_from(">6I", data, at + 8)
    (n_components,) = struct.unpack_from(">H", data, at + 40)
    if right <= left or bottom <= top or not tile_width or not tile_height:
        return None
    if (right // tile_width + 1) * (bottom // tile_height + 1) > _MAX_TILES:
        return None
    return FrameSize(right - left, bottom - top, n_components)
