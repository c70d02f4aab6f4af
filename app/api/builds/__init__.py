"""`/v1/builds`: one build, and everything about it."""

from app.api.builds import (
    code,
    collection,
    graph,
    predict,
    probe,
    profile,
    reports,
    restore_plan,
    weights,
)

# The first match wins: the busiest routes come first.
ROUTERS = tuple(
    module.router
    for module in (predict, collection, reports, graph, code, profile, probe, restore_plan, weights)
)
