"""The typed client of the gateway: follow sessions from any Python program."""
