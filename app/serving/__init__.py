"""What the routes of every protocol share: models by name, inference, profiles, weights."""
