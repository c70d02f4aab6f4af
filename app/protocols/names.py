"""What the inputs and outputs of every model are called on the wire."""

# Those of the signatures in our SavedModels: serving_default and serving_images.
INPUT = "input"
IMAGES = "image_bytes"
OUTPUT = "output"
# The softmax of OUTPUT, where that is one number for each class.
PROBABILITIES = "probabilities"
