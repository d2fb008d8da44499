"""A Log Analytics workspace with Sentinel for tests: no real one can run here.

It takes what the vendor documents and nothing else, and really answers: see ``service``.
"""
