"""The session question under the name doors ask it by."""

from fediart.storage.accounts import account_of_session

__all__ = ["account_of_session"]
