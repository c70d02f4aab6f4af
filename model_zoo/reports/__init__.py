"""What can be said of a trace without numbers."""
