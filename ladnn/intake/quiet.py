"""Keeps the remarks of image libraries on contributed files out of warnings and logs: they quote header values.

Filters are added once and stay. `warnings.catch_warnings` swaps the filters of the whole process, so that several
threads which decode at once would restore each other's.
"""

import logging
import re
import warnings


def silence(package: str) -> None:
    """Let no warning and no log record of this package's modules out; quick to call again."""
    pattern = re.compile(rf"{re.escape(package)}(\.|$)")
    if ("ignore", None, Warning, pattern, 0) not in warnings.filters:
        warnings.filterwarnings("ignore", module=pattern.pattern)
    logger = logging.getLogger(package)
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
