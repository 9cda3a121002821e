"""Parts of the planted-shortcut benchmark."""
