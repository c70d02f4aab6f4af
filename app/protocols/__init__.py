"""The wire formats of other model servers, as functions that know nothing of HTTP."""
