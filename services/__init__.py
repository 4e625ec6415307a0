"""The services: gateway, speech workers, audio workers. They never import each other."""
