"""The state directory: everything that is known of a container once the runtime has exited."""
