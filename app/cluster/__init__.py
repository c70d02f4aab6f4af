"""An engine on the nodes of a cluster: which code runs where.

::

    the API       ray_engine     the engine: sums up what the workers say, decodes inputs
                  inferences     sends inferences, and those of a lost worker to another one
                  loads          loads models where they are pinned, or needed
                  routing        decides which worker does what
                  members        a worker a node: starts them, pings them, sees them lost
                  member         one of them, and the calls in progress
                  ray_cluster    the cluster as Ray has it; the only module that imports Ray
    both sides    messages       what crosses, and what the engine needs of a cluster
    a node        node_worker    the actor: an unchanged local engine without readers
                  tracing        the task that traces rows of sweeps
"""
