"""What clients and operators can ask: one module for each family of URLs."""
