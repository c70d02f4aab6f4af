"""Inference over HTTP: this service beside others that serve, on one machine with one client."""
