"""What fediart costs, measured: each file is one question, run by `python -m benchmarks.NAME`. See README.md here."""
