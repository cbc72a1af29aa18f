"""HTTP signatures, by ourselves: draft-cavage-12 and RFC 9421, out and in. Pure functions; keys and times are arguments."""
