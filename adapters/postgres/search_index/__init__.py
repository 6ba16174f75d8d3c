"""The index of a large gallery: built, kept in step with the users, and followed by every worker."""
