"""Plain SQL files of the service's own schema, applied once each in the order of their names."""
