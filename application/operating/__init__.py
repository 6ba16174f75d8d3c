"""What operators ask for: what became of a photo, how the service is, jobs once more."""
