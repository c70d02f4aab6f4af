"""The service: model_zoo over HTTP. It uses only the names that model_zoo exports."""
