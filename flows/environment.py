"""How Prefect runs embedded: state under LADNN_HOME, nothing sent out, its log left to errors.

To be called before Prefect is imported; what the operator has set stays.
"""

from collections.abc import MutableMapping
from pathlib import Path


def prepare_prefect(environment: MutableMapping[str, str], home: Path) -> None:
    """Set Prefect's environment variables where they are not set."""
    for name, value in {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",  # a failed flow is reported once, in one line, by the command
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    }.items():
        environment.setdefault(name, value)
