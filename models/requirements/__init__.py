"""Requirements: what evidence a technique needs, from three sources, and how far to trust it."""
