"""Jobs: the consumer that delivers them, their deliveries, and what they say."""
