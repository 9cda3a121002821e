"""Takes personal data out of words before they are published: names, numbers, addresses, e-mail, spelled codes. Pure."""
