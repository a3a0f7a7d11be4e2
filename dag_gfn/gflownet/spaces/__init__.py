"""State spaces on which a generative flow network builds objects, step by step."""
