"""`/v2`: the Open Inference Protocol V2."""

from app.api.open_inference import infer, models, repository, server, statistics
from app.api.open_inference.requests import REQUESTS as REQUESTS

# The first that fits is taken: what is asked for most stands first, and the statistics of all
# models stand where otherwise a model of the name `stats` would.
ROUTERS = tuple(module.router for module in (infer, statistics, repository, models, server))
