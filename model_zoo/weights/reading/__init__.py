"""Readers of weight files that came from outside: every declared size is checked before it is used.

They run in a process of their own (`model_zoo.weights.importing` starts it), and import neither
TensorFlow nor Keras: no reader runs what a file says.
"""
