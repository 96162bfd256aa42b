"""The configuration: YAML files in, one frozen `Catalog` out."""
