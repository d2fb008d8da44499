"""The use cases: each stage a function over ports and values."""
