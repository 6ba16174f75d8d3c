"""What runs around the service: containers, manifests, and the real servers for demo and tests."""
