"""The real servers, started without Docker: for the demo, the tests and development. Never for production."""
