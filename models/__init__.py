"""The domain: what a hunt is, as types and pure functions; ``state`` and ``stages`` at its edge."""
