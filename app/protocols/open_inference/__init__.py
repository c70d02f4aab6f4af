"""The bodies of the Open Inference Protocol V2 over REST. Nothing here knows HTTP.

request, inputs, parameters and tensors read; response, classification and compression write;
metadata describes models.
"""
