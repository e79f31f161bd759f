"""How Prefect runs embedded: state under LADNN_HOME, nothing sent out, its log left to errors.

To be called before Prefect is imported; what the operator has set stays.
"""

from collections.abc import MutableMapping
from pathlib import Path


def prepare_prefect(environment: MutableMapping[str, str], home: Path, log_level: str = "CRITICAL") -> None:
    """Set Prefect's environment variables where they are not set.

    Args:
        environment: of this process and its children.
        home: LADNN_HOME.
        log_level: of Prefect's log; a command that reports a failure itself, in one line, keeps it silent.
    """
    for name, value in {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": log_level,
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    }.items():
        environment.setdefault(name, value)
