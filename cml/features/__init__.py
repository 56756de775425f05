"""Features of items: declared, encoded and mapped into the metric space. Free of torch, like everything that serves."""
