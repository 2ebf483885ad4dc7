"""The dance of parent and child that ends in the execve of the container."""
