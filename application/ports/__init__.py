"""Ports: what the use cases need of the outside world, in the domain's words. Adapters satisfy them by shape."""
