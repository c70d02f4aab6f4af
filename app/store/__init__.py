"""What the service keeps between restarts."""
