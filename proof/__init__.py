"""Proofs, beside the tests, that nothing a run has saved is ever lost or silently wrong: `python -m proof --help`."""
