"""Foreseeing a build: what comes out, how long it takes, what it costs."""
