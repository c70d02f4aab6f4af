"""The Open Inference Protocol V2 over REST: what its bodies say, and how answers are told.

request and tensors read, classification and response write, metadata describes models, compression
and reading serve the process that does either. Nothing here knows HTTP.
"""
