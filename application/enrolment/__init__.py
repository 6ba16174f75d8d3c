"""Users' templates: made from photographs, saved, and made anew by another embedder."""
