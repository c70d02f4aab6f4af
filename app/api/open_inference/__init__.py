"""`/v2`: the Open Inference Protocol V2."""

from app.api.open_inference import infer, models, repository, server, statistics
from app.api.open_inference.requests import REQUESTS as REQUESTS

# The first match wins: the busiest routes come first, and `/v2/models/stats` comes before the route
# that would read it as a model's name.
ROUTERS = tuple(module.router for module in (infer, statistics, repository, models, server))
