"""What all sections of config.yaml have in common."""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from config.errors import shown

UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, and halves of a character
TEXTS = ("license", "source")  # may have several lines


class Section(BaseModel):
    """A section of config.yaml: strict types, no unknown keys, no infinite numbers, read-only."""

    # defaults are validated too, so that 0 and 0.0 become one value with one hash
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True)

    @field_validator("*")
    @classmethod
    def check_plain(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, int) and value.bit_length() > 63:
            raise ValueError(f"{shown(value)} is not between -2**63 and 2**63")
        found = set(UNFIT.findall(value)) if isinstance(value, str) else set()
        if found - ({"\n", "\t"} if info.field_name in TEXTS else set()):
            raise ValueError(f"{shown(value)} holds a control character")
        return value
