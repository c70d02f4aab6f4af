"""What the store raises."""


class StoreError(Exception):
    """The store cannot be read or written; the text is fit for a client."""
