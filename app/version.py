"""The version of the service, as its package has it."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("model-zoo-service")
except PackageNotFoundError:  # run from a checkout that nobody installed
    VERSION = "0"
