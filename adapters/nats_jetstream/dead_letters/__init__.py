"""Dead letters: written when a job is given up, read and repaired by operators."""
