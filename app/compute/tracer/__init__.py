"""The process that traces rows of sweeps."""
