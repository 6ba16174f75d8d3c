"""The processes that look at photographs, and the pool of them."""
