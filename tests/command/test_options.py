"""What the options that several commands share allow."""

from command.options import SAMPLING_BOUNDS
from config.schema import SamplingConfig


def test_an_option_of_the_sampler_has_the_bounds_of_its_key():
    fields = SamplingConfig.model_fields
    rules = {key: fields[key].metadata for key in SAMPLING_BOUNDS if key in fields}
    found = {
        key: (next(r.ge for r in of if hasattr(r, "ge")), next((r.le for r in of if hasattr(r, "le")), None))
        for key, of in rules.items()
    }
    assert {**SAMPLING_BOUNDS, **found} == SAMPLING_BOUNDS and len(found) == len(SAMPLING_BOUNDS) - 1  # the seed
