"""`/v1/sweeps`: many builds that differ along axes."""

from app.api.sweeps import builds, collection, measurements, rows

ROUTERS = (collection.router, rows.router, builds.router, measurements.router)
