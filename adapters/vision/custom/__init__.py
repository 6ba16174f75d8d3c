"""The pipeline with somebody's own recogniser."""
