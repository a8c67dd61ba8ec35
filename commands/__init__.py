"""The front door: one thin file for each command."""
