"""HTTP routes, one noun a file: parse, call one plain function, shape the answer."""
