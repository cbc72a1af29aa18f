"""Alembic's entry: the connection comes from `fediart.storage.migrate`, which configured the context already."""
