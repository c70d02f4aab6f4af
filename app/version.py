"""The version of the service, from the metadata of its package."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("model-zoo-service")
except PackageNotFoundError:  # run from a checkout that is not installed
    VERSION = "0"
