"""What every section of an experiment's configuration has in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Frozen values; unknown keys, other types and numbers that are not finite are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
