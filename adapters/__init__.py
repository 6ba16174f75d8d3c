"""Adapters: one package for each technology; none knows another."""
