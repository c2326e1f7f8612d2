"""What is fast must stay fast: ``python -m benchmarks`` prints one JSON line a figure."""
