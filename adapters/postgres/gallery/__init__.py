"""The enrolled users: their templates, the search for the nearest, and the move to another embedder."""
