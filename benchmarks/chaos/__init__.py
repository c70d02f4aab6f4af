"""`make chaos`: what hostile clients, kills and a failing disk do to a running service."""
