"""The connection to the broker, and the streams and the consumer that are found through it."""
