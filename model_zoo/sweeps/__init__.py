"""Sweeps: many builds that differ along axes, traced one by one and told as rows."""
