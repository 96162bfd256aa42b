"""From a granted exchange to an upstream and back."""
