"""The physics of a link."""
