"""What every protocol's routes share: models by name, inference, statistics."""
