"""Settings become running parts. The only package that names concrete adapters and connectors."""
