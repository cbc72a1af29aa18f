"""The grant question under the name doors ask it by."""

from fediart.storage.accounts import Grant, grant_of

__all__ = ["Grant", "grant_of"]
