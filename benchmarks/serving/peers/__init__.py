"""The other servers, each set up as its documentation says for images, batches and one CPU worker.

They run in environments of their own (`benchmarks.serving.environments`), on the repository's
TensorFlow and `model_zoo`: the same weights, the same decoding, the same preprocessing.
"""
