"""Networks, whatever runs them, and what their input is made of."""
