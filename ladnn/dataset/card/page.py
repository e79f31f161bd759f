"""The data card as one HTML page that needs no network: text is escaped, pictures are inline."""

import base64

from ladnn.dataset.card.facts import PARTS, DataCard, by_size, rate
from ladnn.dataset.split import RATIOS
from ladnn.labels import DIAGNOSIS, LESION_NAMES
from ladnn.page import render_page


def card_page(card: DataCard) -> str:
    """Return the page of a data card."""
    from ladnn.dataset.card.figures import concordance_matrix, lesion_histogram, negatives_composition

    return render_page(
        __package__,
        "data_card.html",
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
