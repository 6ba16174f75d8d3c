"""What the product is made of: packages and weights, their licences, a bill of materials, and known vulnerabilities."""
