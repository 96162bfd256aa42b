"""What a request costs: `python -m tests.bench` (docs/benchmarks.md)."""
