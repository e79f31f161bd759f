"""The data card as one HTML page that needs no network: text is escaped, pictures are inline."""

import base64
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from ladnn.dataset.card.facts import PARTS, DataCard, by_size, rate
from ladnn.dataset.split import RATIOS
from ladnn.labels import DIAGNOSIS, LESION_NAMES


def card_page(card: DataCard) -> str:
    """Return the page of a data card."""
    from ladnn.dataset.card.figures import concordance_matrix, lesion_histogram, negatives_composition

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["n"] = lambda number: f"{number:,}".replace(",", "\u202f")
    template = environment.from_string(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    return template.render(
        card=card,
        version=card.version,
        parts=PARTS,
        ratios=RATIOS,
        rate=rate,
        by_size=by_size,
        names={DIAGNOSIS: "COVID-19"} | LESION_NAMES,
        histogram=_inline(lesion_histogram(card)),
        concordance=_inline(concordance_matrix(card)),
        negatives=_inline(negatives_composition(card)),
    )


def _inline(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
