"""`python -m model_zoo.cli`, for where the `model-zoo` script is not on the path."""

import sys

from model_zoo.cli import main

if __name__ == "__main__":  # processes that trace rows import it under another name
    sys.exit(main())
