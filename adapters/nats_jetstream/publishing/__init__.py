"""Messages of the service's own: result events, and jobs in the place of others."""
