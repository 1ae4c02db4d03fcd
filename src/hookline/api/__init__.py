"""JSON over HTTP: parse, call a service, answer."""
