"""Architecture search: what candidates cost, which is trained next, and the front that is left."""
