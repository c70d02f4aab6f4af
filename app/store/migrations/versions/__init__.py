"""The migrations, each a module."""
