"""NATS JetStream: the queue of jobs, result events and dead letters, by nats-py."""
