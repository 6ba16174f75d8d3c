"""What `evaluate` and `calibrate` share: watching the photographs being read, and showing what was counted."""
