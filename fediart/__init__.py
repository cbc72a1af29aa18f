"""fediart: a self-hosted, federated ActivityPub server for visual artists."""

__version__ = "0.1.0"
