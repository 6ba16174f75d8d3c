"""Files of weights and models: what is stated of each, read with integrity."""
