"""The samples: one module and one page each."""
