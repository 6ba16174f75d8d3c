"""From a found face to its embedding."""
