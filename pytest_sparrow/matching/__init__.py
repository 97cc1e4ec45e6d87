"""Which recorded exchange answers what the agent asks. Pure."""
