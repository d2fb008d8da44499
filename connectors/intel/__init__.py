"""Threat intelligence: TAXII 2.1, STIX bundles."""
