"""The probe: what a batch becomes from layer to layer, and who is to blame if it dies."""
