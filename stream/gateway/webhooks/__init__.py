"""Signed webhooks: alerts, final windows and ended sessions as messages to other services, as standardwebhooks.com describes them."""
