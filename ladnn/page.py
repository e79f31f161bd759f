"""How documents look as HTML pages that need no network: one style (`page.html`), and text that is always escaped."""

from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined

from ladnn.statistics import Interval


def render_page(package: str, template: str, **values: object) -> str:
    """Return the page of a template of a package; the template extends `page.html`.

    Filters beside Jinja's: `n` groups thousands, `digits` shows a value with three digits or n/a, `number` an interval or a
    value with no more digits than it needs, `coverage` the confidence of an interval with bounds, `when` a time.
    """
    return _environment(package).get_template(template).render(values)


@cache  # compiling a page takes longer than all else of it
def _environment(package: str) -> Environment:
    def read(name: str) -> str:
        place = files("ladnn" if name == "page.html" else package)
        return place.joinpath(name).read_text(encoding="utf-8")

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(read),
    )
    environment.filters["n"] = lambda number: f"{number:,}".replace(",", "\u202f")
    environment.filters["number"] = _number
    environment.filters["digits"] = lambda value: "n/a" if value is None else f"{value:.3f}"
    environment.filters["coverage"] = coverage
    environment.filters["when"] = lambda time: f"{time:%Y-%m-%d %H:%M} UTC"
    return environment


def coverage(interval: Interval | None) -> str:
    """Return what the bounds of an interval cover, such as `95 %`; a dash where there are none, or nobody stated it."""
    confidence = interval.confidence if interval else None
    return "-" if confidence is None else f"{100 * confidence:.4g} %"


def _number(value: Interval | float | None) -> str:
    if value is None:
        return "n/a"
    return str(value) if isinstance(value, Interval) else f"{value:.3f}".rstrip("0").rstrip(".")
