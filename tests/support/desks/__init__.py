"""Stateful stand-ins of the desks' servers, written from the vendors' documentation."""
