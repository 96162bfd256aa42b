"""From a requested name to a model, and what is changed in the body on the way. Pure."""
