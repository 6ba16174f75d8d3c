"""How good an embedder is on labelled photographs, and which thresholds follow."""
