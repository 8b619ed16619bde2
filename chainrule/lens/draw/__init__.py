"""Pictures of a recording: the graph, its tensors and the chain rule, as data and as pages."""
