"""What the service tells its operators: metrics, logs, traces."""
