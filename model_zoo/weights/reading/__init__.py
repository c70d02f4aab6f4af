"""Readers of untrusted weight files: every declared size is checked before it is used.

They run in a process of their own (`model_zoo.weights.importing` starts it), and import neither
TensorFlow nor Keras: no reader runs what a file says.
"""
