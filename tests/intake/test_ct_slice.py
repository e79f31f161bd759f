"""A chest CT slice is told from photos, pages, charts and drawings; no real slice is lost."""

import io
from pathlib import Path

import numpy as np
import pytest
from factories import encoded, picture
from matplotlib import style as look
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_images

from ladnn.errors import ImageRejectedError
from ladnn.intake.decode import check_ct_slice, decode
from ladnn.phantoms.study import generate_study

PHOTOS = load_sample_images().images
WORDS = [
    "chest",
    "slice",
    "of",
    "the",
    "patient",
    "shows",
    "no",
    "change",
    "since",
    "the",
    "last",
    "report",
    "and",
    "the",
    "value",
    "in",
    "this",
    "table",
]


def refused(data: bytes) -> bool:
    image = decode(data)
    try:
        check_ct_slice(image)
    except ImageRejectedError as error:
        return error.reason == "not_ct" and any(character.isdigit() for character in str(error))
    return False


@pytest.mark.parametrize("style", ["a", "b"])
@pytest.mark.parametrize("index", range(4))
def test_phantoms_are_slices(style: str, index: int) -> None:
    for phantom in generate_study(3, index, style=style).slices:
        assert not refused(encoded(phantom.pixels))


@pytest.mark.parametrize("number", range(20))
def test_pictures_of_the_tests_are_slices(number: int) -> None:
    assert not refused(encoded(picture(number)))


@pytest.mark.parametrize("number", range(2))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_photo_is_refused_in_colour_and_in_grey(number: int, mode: str) -> None:
    photo = Image.fromarray(PHOTOS[number])
    assert refused(encoded(photo.convert(mode)))
    assert refused(encoded(photo.convert(mode), "JPEG"))


@pytest.mark.parametrize("dark", [False, True], ids=["white", "dark mode"])
@pytest.mark.parametrize("seed", range(4))
def test_a_page_of_text_is_refused(dark: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    paper, ink = ((24, 24, 28), (230, 230, 230)) if dark else ((255, 255, 255), (0, 0, 0))
    image = Image.new("RGB", (700, 800), paper)
    draw = ImageDraw.Draw(image)
    for y in range(20, 780, 24):
        line = " ".join(rng.choice(WORDS, rng.integers(4, 14)))
        draw.text((30, y), line, fill=ink, font=ImageFont.load_default(size=16))
    assert refused(encoded(image))


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("kind", ["lines", "bars", "points"])
def test_a_chart_is_refused(style: str, kind: str) -> None:
    rng = np.random.default_rng(0)
    with look.context(style):
        figure = Figure(figsize=(6, 5))
        axes = figure.add_subplot()
        if kind == "lines":
            axes.plot(rng.normal(size=(60, 3)).cumsum(axis=0))
        elif kind == "bars":
            axes.bar(range(6), rng.random(6))
        else:
            axes.scatter(*rng.normal(size=(2, 200)))
        buffer = io.BytesIO()
        figure.savefig(buffer)
    assert refused(buffer.getvalue())
    assert refused(encoded(Image.open(buffer).convert("L")))


@pytest.mark.parametrize("paper", [0, 255])
def test_a_drawing_and_a_table_are_refused(paper: int) -> None:
    drawing, table = Image.new("L", (500, 500), paper), Image.new("L", (500, 500), paper)
    for radius in range(40, 240, 50):
        ImageDraw.Draw(drawing).ellipse((250 - radius, 250 - radius, 250 + radius, 250 + radius), outline=128, width=3)
    for at in range(20, 500, 60):
        ImageDraw.Draw(table).line((at, 20, at, 480), fill=255 - paper, width=2)
        ImageDraw.Draw(table).line((20, at, 480, at), fill=255 - paper, width=2)
    assert refused(encoded(drawing))
    assert refused(encoded(table))


def test_noise_and_ramps_are_refused() -> None:
    assert refused(encoded(np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)))
    assert refused(encoded(np.tile(np.arange(256, dtype=np.uint8), (256, 1))))


@pytest.mark.slow
def test_no_real_slice_is_refused(real_data: Path) -> None:
    files = [*(real_data / "images").iterdir(), *(real_data.parent / "contribution-2020-06-02").iterdir()]
    assert len(files) > 500
    assert [file.name for file in files if refused(file.read_bytes())] == []
