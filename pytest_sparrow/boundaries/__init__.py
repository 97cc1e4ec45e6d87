"""Where the agent touches the world: HTTP, tools, `sparrow.call`, and the guard around all else."""
