"""Load testing without a live site: the deterministic site farm and the checks on its log."""
