"""Sigma rules through pySigma: parse, validate, compile."""
