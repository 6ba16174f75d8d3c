"""How well an embedder tells people apart, counted on photographs of known people. Pure.

Distances are cosine, smaller is closer. The terms are those of ISO/IEC 19795: failure to acquire (no usable face on a
photograph, or one that the guardrails refuse), false match and false non-match (of two photographs compared), false
positive and false negative identification (of a photograph searched for among everybody enrolled).
"""
