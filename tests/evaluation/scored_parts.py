"""Owns made-up parts of a dataset version with probabilities, for tests of what is measured and drawn of them."""

import numpy as np
import pandas as pd

from ladnn.labels import LABELS


def part(n=120, **columns):
    """Rows of a manifest and probabilities that go with the labels."""
    rng = np.random.default_rng(6)
    rows = pd.DataFrame(
        {
            "group": [f"p{i // 2}" for i in range(n)],
            "source": rng.choice(["hospital", "web"], n),
            "site": rng.choice(["a", "b", "c"], n),
            "sex": rng.choice(["F", "M", None], n),
            "age_y": rng.choice([5.0, 17.0, 18.0, 59.0, 60.0, 80.0, 104.0, np.nan], n),
            **{code: rng.integers(0, 2, n).astype(float) for code in LABELS},
        }
    ).assign(**columns)
    return rows, np.clip(0.5 * rows[list(LABELS)].to_numpy() + 0.5 * rng.random((n, 6)), 0, 1)
