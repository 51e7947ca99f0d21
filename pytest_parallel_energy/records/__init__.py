"""Records of attempts: their fields, encoding, storage, reading and merging."""
