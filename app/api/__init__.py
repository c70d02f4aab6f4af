"""The routes: one module a resource, HTTP only."""
