"""Where the COVID-CT collection lies, which is never part of this repository."""

import os
from pathlib import Path

COVID_CT = Path(os.environ.get("COVID_CT_DIR") or Path(__file__).parents[2] / "shared" / "data" / "covid-ct")
"""Folder with `metadata.csv` and `images/`."""
