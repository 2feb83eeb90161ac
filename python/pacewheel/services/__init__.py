"""The background services; each knows the ports and what it is handed, never another service."""
