"""A build as code: nested scopes around the network's call."""
