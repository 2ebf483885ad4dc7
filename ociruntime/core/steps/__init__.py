"""The vocabulary of deeds: small classes that describe themselves and act through the kernel's door."""
