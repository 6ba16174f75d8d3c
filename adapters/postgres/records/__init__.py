"""What became of every job, and the rows that it writes."""
