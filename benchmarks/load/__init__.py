"""Load from outside: what plays the other servers and the clients. It shares no code with the server that it measures."""
