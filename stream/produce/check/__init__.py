"""Checks the records that a producer has sent for a session, and says what is wrong or risky with them. Pure, except for `read`."""
