"""How a search decides: what it predicts, what it proposes, what its front is."""
