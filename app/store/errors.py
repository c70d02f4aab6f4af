"""Errors of the stores."""


class StoreError(Exception):
    """The store cannot be read or written; the message is fit for a client."""
