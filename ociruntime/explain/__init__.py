"""The slow explanation: everything a person is told after the fast verdict said no."""
