"""config.json: bytes to a checked dict, with a fast verdict; the explanation is elsewhere."""
