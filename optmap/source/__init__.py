"""Reading Python source: bytes, encodings, scopes, names, calls. Nothing here knows about optimizers."""
