"""A made-up company and its Windows logs, from a seed."""
