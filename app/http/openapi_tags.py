"""The groups of routes, in the order in which a newcomer needs them."""

TAGS = {
    "builds": "Post a spec, get a build: a network inside nested arg scopes. Then read its layers, "
    "who set each argument, its graph, and its code. Start here.",
    "catalogue": "The architectures that a spec can name, and the ops that a scope can list, with "
    "every parameter, argument and default.",
    "diffs": "What differs between two builds, and who set it on each side.",
    "sweeps": "Many builds that differ along axes: traced, sorted, filtered and measured.",
    "measurements": "Run a build to measure the time of each layer, or where its signal dies.",
    "scopes": "Save levels under a name, and share them between specs.",
    "weights": "Upload checkpoints, see which variables they would fill, and download a build's "
    "weights in any format.",
    "predictions": "Run one build or several on images and arrays.",
    "models": "Give a build a name that stays when the build is replaced.",
    "service": "Health, limits and metrics of the service, and these pages.",
    "open inference protocol": "For clients of Triton and KServe.",
    "tensorflow serving": "For clients of TensorFlow Serving's REST API.",
}
