"""What outlives a restart of the service: builds, named models and weight files."""
