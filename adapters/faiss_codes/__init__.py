"""Codes of many users' vectors in the process's own memory, searched with faiss."""
