"""`python -m model_zoo.cli`, for where the `model-zoo` script is not on the path."""

import sys

from model_zoo.cli import main

sys.exit(main())
