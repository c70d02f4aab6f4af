"""HYPOTHESIS_PROFILE=fuzz (`make fuzz`) runs ten times the usual number of examples."""

import os

from hypothesis import settings

settings.register_profile("fuzz", max_examples=1000)
if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz":
    settings.load_profile("fuzz")
