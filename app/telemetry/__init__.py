"""Where observations go: logs now, activity and captures beside them."""
