"""Everything people read about the command line, made from its tables: help, manual pages, completions."""
