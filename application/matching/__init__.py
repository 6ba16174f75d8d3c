"""From a job to its outcome."""
