"""Connections: how they are opened and lent, what runs on them, and what their failures mean."""
