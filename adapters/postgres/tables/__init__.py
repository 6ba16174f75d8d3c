"""Whether the application's tables, and what the role may do with them, are as the service needs them."""
